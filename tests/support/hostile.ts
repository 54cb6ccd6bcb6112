/** Values that throw at any operation on them, and the outcomes of calls that use them. */
import { TandemError } from "../../mod.ts";
import { collect } from "./rpc_helper.ts";

/** Throws at the nth operation. */
export class Trap {
  touched = 0;
  readonly #at: number;
  readonly #thrown: () => unknown;

  constructor(at: number, thrown: () => unknown) {
    this.#at = at;
    this.#thrown = thrown;
  }

  get hasSprung(): boolean {
    return this.touched >= this.#at;
  }

  touch(): void {
    this.touched += 1;
    if (this.touched === this.#at) throw this.#thrown();
  }
}

const behind: WeakMap<object, object> = new WeakMap();

function plain(value: unknown): unknown {
  return isObject(value) ? behind.get(value) ?? value : value;
}

export function isObject(value: unknown): value is object {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}

/** A Proxy of the value, and of all that it leads to, whose operations the trap counts. */
export function trapped<T>(value: T, trap: Trap): T {
  if (!isObject(value) || behind.has(value)) return value;
  const handler: ProxyHandler<object> = {
    get: (target, name) => {
      trap.touch();
      const property = Reflect.getOwnPropertyDescriptor(target, name);
      const found: unknown = Reflect.get(target, name, target);
      const isFixed = property && !property.configurable && !property.writable;
      return isFixed ? found : trapped(found, trap);
    },
    apply: (target, self, args) => {
      trap.touch();
      const call = target as (...args: unknown[]) => unknown;
      return trapped(Reflect.apply(call, plain(self), args.map(plain)), trap);
    },
  };
  for (const name of ["has", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor"] as const) {
    const reflect = Reflect[name] as (...args: unknown[]) => unknown;
    const touched = (...args: unknown[]): unknown => {
      trap.touch();
      return reflect(...args);
    };
    Object.assign(handler, { [name]: touched });
  }
  const proxy = new Proxy(value, handler);
  behind.set(proxy, value);
  return proxy as T;
}

export function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

class Hostile extends Error {
  override get message(): string {
    throw revoked();
  }
  override get name(): string {
    throw null;
  }
  override get stack(): string {
    throw undefined;
  }
  override get cause(): unknown {
    throw Symbol("cause");
  }
  override toString(): string {
    throw this;
  }
}

/** Values to throw. */
export const kinds: Readonly<Record<string, () => unknown>> = {
  "an error": () => new RangeError("on purpose"),
  "a revoked Proxy": revoked,
  "null": () => null,
  "undefined": () => undefined,
  "a symbol": () => Symbol("on purpose"),
  "a frozen error": () => Object.freeze(new Error("frozen")),
  "an error whose getters throw": () => new Hostile(),
  "an object without a prototype": () => Object.create(null),
  "a function": () => () => {},
  "an error that is its own cause": () => {
    const error = new Error("own cause");
    error.cause = error;
    return error;
  },
  "a thenable that throws": () => ({
    then: () => {
      throw revoked();
    },
  }),
  "an error of this package": () => new TandemError("CORRUPT", "a user has made it"),
};

export type Result = PromiseLike<unknown> | AsyncIterable<unknown>;

/** A value with values inside. */
export const deep = (): object => ({ a: 1, list: [1, { b: "x" }], self: null as unknown });
/** Longer than a slot. */
export const longBytes: Uint8Array<ArrayBuffer> = new Uint8Array(400_000);

/** The outcome of a call, or of a stream of at most `count` items. */
export async function outcome(result: Result, count: number): Promise<string> {
  try {
    if (!(result instanceof Promise)) await collect(result as AsyncIterable<unknown>);
    else {
      const value: unknown = await result;
      if (isObject(value) && Symbol.asyncIterator in value) {
        let left = count;
        for await (const _ of value as AsyncIterable<unknown>) if (--left === 0) break;
      }
    }
    return "ok";
  } catch (error) {
    try {
      return error instanceof TandemError ? error.code : "another error";
    } catch {
      return "an unreadable error";
    }
  }
}

/** Runs `body` and returns the lines that `console.error` wrote. */
export async function reports(body: () => Promise<void>): Promise<string[]> {
  const { error } = console;
  const lines: string[] = [];
  console.error = (...values: unknown[]) => void lines.push(values.join(" "));
  try {
    await body();
  } finally {
    console.error = error;
  }
  return lines;
}
