/**
 * Remote interfaces: objects that turn the use of a method into a call.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { Connection } from "./connection.ts";
import { bareName, canBeOffered } from "./interface.ts";
import {
  type CallOptions,
  type ConnectOptions,
  parseCallOptions,
  parseEndOptions,
} from "./options.ts";
import type { Remote } from "./types.ts";

/** What is behind a remote. */
interface Behind {
  readonly target: string;
  readonly connection: Connection;
  readonly options: CallOptions;
}

const behind: WeakMap<object, Behind> = new WeakMap();

type RemoteFunction = (...args: unknown[]) => unknown;

/**
 * What a remote says to those who only want to look at it: never a call. The functions of
 * `Object.prototype` are its own here, as of any object.
 */
function looksOf(target: string): PropertyDescriptorMap & Record<PropertyKey, { value?: unknown }> {
  const text = `[Remote ${target}]`;
  const say = () => text;
  const { hasOwnProperty, isPrototypeOf, propertyIsEnumerable, valueOf } = Object.prototype;
  const values: Record<PropertyKey, unknown> = {
    toString: say,
    toLocaleString: say,
    valueOf,
    hasOwnProperty,
    isPrototypeOf,
    propertyIsEnumerable,
    [Symbol.toStringTag]: "Remote",
    [Symbol.toPrimitive]: (hint: string) => hint === "number" ? NaN : text,
    [Symbol.for("nodejs.util.inspect.custom")]: say,
    [Symbol.for("Deno.customInspect")]: say,
  };
  const looks: Record<PropertyKey, PropertyDescriptor> = Object.create(null);
  for (const name of Reflect.ownKeys(values)) {
    looks[name] = { value: values[name], configurable: true };
  }
  return looks;
}

/** Makes the object that users see. */
function makeRemote({ target, connection, options }: Behind, dispose: () => void): object {
  const terms = parseCallOptions(options);
  const methods: Map<string | symbol, RemoteFunction> = new Map();
  methods.set(Symbol.dispose, dispose);
  // deno-lint-ignore require-await -- as the interface wants it
  methods.set(Symbol.asyncDispose, async () => dispose());
  const looks = looksOf(target);
  const method = (name: string): RemoteFunction => {
    const call: RemoteFunction = (...args) => connection.call(name, args, terms);
    methods.set(name, call);
    return call;
  };
  // A function, since the interface may be one.
  // Printers look at what is behind a Proxy.
  const remote = new Proxy(Object.defineProperties((): void => {}, looks), {
    get: (_, name) => {
      const known = methods.get(name);
      if (known) return known;
      if (typeof name === "string" && canBeOffered(name)) return method(name);
      return looks[name]?.value;
    },
    has: (_, name) =>
      methods.has(name) || name in looks || (typeof name === "string" && canBeOffered(name)),
    apply: (_, __, args: unknown[]) => connection.call(bareName, args, terms),
    ownKeys: () => [],
    getOwnPropertyDescriptor: () => undefined,
    set: () => false,
    defineProperty: () => false,
    deleteProperty: () => false,
    setPrototypeOf: () => false,
  });
  behind.set(remote, { target, connection, options });
  return remote;
}

/**
 * A remote interface: every method of it is a call to a service of that target, which
 * {@linkcode serve} has started in any process, in either runtime.
 *
 * To print it, to await it, or to put it into JSON is harmless: it is `[Remote target]` as text and
 * left out of JSON. `using`, or `remote[Symbol.dispose]()`, closes it; `remote.close()` would be a call.
 *
 * It is lazy: the channel is opened by the first call, which waits for it as long as its time-out
 * allows, and again after somebody has unlinked it and made it anew. An open connection does not keep
 * the process alive; a call that waits for its answer does.
 *
 * Arguments are nested up to 1,000 deep. One that cannot be sent makes the call reject with
 * `NOT_SERIALIZABLE`, which names it and says where it is; what a getter of one throws, the call rejects
 * with.
 *
 * @example
 * ```ts
 * import { connect, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const api = {
 *   add: (a: number, b: number) => a + b,
 *   async *count(to: number) {
 *     for (let number = 1; number <= to; number++) yield number;
 *   },
 * };
 * await using service = serve("sums", api);
 *
 * // Any other process:
 * using sums = connect<typeof api>("sums", { timeout: 5_000 });
 * assertEquals(await sums.add(1, 2), 3);
 * const numbers: number[] = [];
 * for await (const number of sums.count(3)) numbers.push(number);
 * assertEquals(numbers, [1, 2, 3]);
 * service.unlink();
 * ```
 *
 * @typeParam Api the interface: the type of the object that is served
 * @param target as of {@linkcode Client.open}
 * @param options defaults of its calls: `timeout`, `signal`, `idempotent` and others
 * @returns disposable: `using`, or `remote[Symbol.dispose]()`, closes the connection, which cancels its
 * calls and ends its streams. It has no `close()`: that would be a method of the other side
 * @throws {TypeError} {RangeError} for wrong options
 */
export function connect<Api extends object>(
  target: string,
  options: ConnectOptions = {},
): Remote<Api> {
  const connection = new Connection(target, parseEndOptions(options));
  return makeRemote({ target, connection, options }, () => connection.close()) as Remote<Api>;
}

/**
 * The same remote interface with other options for its calls. It shares the connection, which
 * disposing the original closes; disposing this one does nothing.
 *
 * @example
 * ```ts
 * import { callContext, connect, serve, TandemError, withOptions } from "@tandem/ipc";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const api = {
 *   async forEver(): Promise<void> {
 *     const { signal } = callContext()!;
 *     await new Promise((resolve) => signal.addEventListener("abort", resolve));
 *   },
 * };
 * await using service = serve("patience", api);
 * using remote = connect<typeof api>("patience");
 *
 * const hasty = withOptions(remote, { timeout: 20 });
 * const error = await assertRejects(() => hasty.forEver(), TandemError);
 * assertEquals(error.code, "TIMEOUT");
 * service.unlink();
 * ```
 *
 * @param remote what {@linkcode connect} or this function has returned
 * @param options those that are given take the place of the remote's own
 * @throws {TypeError} for what is no remote interface; {RangeError} for wrong options
 */
export function withOptions<R extends Disposable>(remote: R, options: CallOptions): R {
  const found = behind.get(remote);
  if (!found) {
    throw new TypeError(
      `Cannot give options to ${describe(remote)}: give what connect() has returned`,
    );
  }
  const merged = { ...found.options, ...options };
  return makeRemote({ ...found, options: merged }, () => {}) as unknown as R;
}
