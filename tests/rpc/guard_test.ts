/**
 * Code of users that fails, wherever it is called: one call fails, and the next is answered. What users
 * give is wrapped so that everything done to it is counted, and one thing after the other is made to
 * throw, until none is left.
 */
import { assert, assertEquals } from "@std/assert";
import { context, trace } from "@opentelemetry/api";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import {
  callContext,
  type CallRecord,
  Client,
  connect,
  raw,
  serve,
  Server,
  type StandardResult,
  type StandardSchema,
  TandemError,
  validated,
  withOptions,
} from "../../mod.ts";
import { eventually, isBare, newTarget, test, text } from "../support/harness.ts";
import { collect } from "../support/rpc_helper.ts";
import { transports } from "../support/sites.ts";

/** Throws at the nth thing that is done. */
class Trap {
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

function isObject(value: unknown): value is object {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}

/** The same value, but that the trap counts what is done to it and to all that it leads to. */
function trapped<T>(value: T, trap: Trap): T {
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

function revoked(): object {
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

/** What is thrown. */
const kinds: Readonly<Record<string, () => unknown>> = {
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

type Result = PromiseLike<unknown> | AsyncIterable<unknown>;
interface Loose extends Disposable {
  run(...args: unknown[]): Promise<unknown> & AsyncIterable<unknown>;
  ping(): Promise<string>;
}

/** A place where code of users is called by a service. */
interface Place {
  readonly name: string;
  /** The method `run`. */
  readonly method: (trap: Trap) => (...args: never[]) => unknown;
  readonly call?: (remote: Loose) => Result;
}

const deep = () => ({ a: 1, list: [1, { b: "x" }], self: null as unknown });
const longBytes = new Uint8Array(400_000);
const schema = (validate: (value: unknown) => unknown) =>
  ({ "~standard": { version: 1, vendor: "test", validate } }) as unknown as StandardSchema<[], []>;

const places: readonly Place[] = [
  { name: "a method", method: (trap) => () => trap.touch() },
  {
    name: "an asynchronous method",
    method: (trap) => async () => {
      await Promise.resolve();
      trap.touch();
    },
  },
  { name: "a result", method: (trap) => () => trapped(deep(), trap) },
  { name: "a promised result", method: (trap) => async () => trapped(await deep(), trap) },
  { name: "a method itself", method: (trap) => trapped(() => 1, trap) },
  {
    name: "a thenable",
    method: (trap) => () =>
      trapped({ then: (resolve: (value: unknown) => void) => resolve(deep()) }, trap),
  },
  { name: "a promise", method: (trap) => () => trapped(Promise.resolve(deep()), trap) },
  {
    name: "what is thrown",
    method: (trap) => () => {
      throw trapped(Object.assign(new Error("x", { cause: new Error("y") }), deep()), trap);
    },
  },
  {
    name: "a reason of a rejection",
    method: (trap) => () => Promise.reject(trapped(new Error("x", { cause: deep() }), trap)),
  },
  {
    name: "a generator",
    method: (trap) => () =>
      trapped(
        (async function* () {
          yield await Promise.resolve(1);
          yield 2;
        })(),
        trap,
      ),
    call: (remote) => remote.run(),
  },
  {
    name: "an iterable",
    method: (trap) => () => ({
      [Symbol.asyncIterator]: () =>
        trapped({ next: () => ({ done: false, value: 1 }), return: () => ({ done: true }) }, trap),
    }),
  },
  {
    name: "items",
    method: (trap) =>
      function* () {
        yield trapped(deep(), trap);
        yield trapped(Promise.resolve(deep()), trap);
      },
    call: (remote) => remote.run(),
  },
  {
    name: "what a generator throws",
    method: (trap) =>
      // deno-lint-ignore require-yield -- that is the test
      function* () {
        throw trapped(new Error("x", { cause: deep() }), trap);
      },
    call: (remote) => remote.run(),
  },
  {
    name: "a schema",
    method: (trap) => validated(schema((value) => trapped({ value }, trap)), () => 1),
  },
  {
    name: "an asynchronous schema",
    method: (trap) =>
      validated(schema((value) => trapped(Promise.resolve({ value }), trap)), () => 1),
  },
  {
    name: "issues of a schema",
    method: (trap) =>
      validated(
        schema((): StandardResult<[]> =>
          trapped({ issues: [{ message: "no", path: ["a", { key: 1 }] }] }, trap)
        ),
        () => 1,
      ),
  },
  {
    name: "a method with long arguments",
    method: (trap) => () => trapped(deep(), trap),
    call: (remote) => remote.run(longBytes),
  },
  {
    name: "an asynchronous method with long arguments and result",
    method: (trap) => async () => trapped({ ...await deep(), longBytes }, trap),
    call: (remote) => remote.run(longBytes),
  },
  {
    name: "a raw method",
    method: (trap) => raw(() => trapped(deep(), trap)),
    call: (remote) => remote.run(longBytes),
  },
];

/** What a call or a stream comes to, which is within reason. */
async function outcome(result: Result, count: number): Promise<string> {
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
      return "what cannot be looked at";
    }
  }
}

/** Runs `body` and gives back what was written to the console as an error. */
async function reports(body: () => Promise<void>): Promise<string[]> {
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

for (const { name, method, call = (remote: Loose) => remote.run() } of places) {
  test(`code of users fails: ${name}`, async () => {
    let sprung = 0;
    for (const [kind, thrown] of Object.entries(kinds)) {
      const target = newTarget();
      let trap = new Trap(Infinity, thrown);
      const api = {
        run: (...args: unknown[]) => Reflect.apply(method(trap), undefined, args),
        ping: () => "pong",
      };
      const service = serve(target, api, { maxRequestBytes: 4_096, maxResponseBytes: 4_096 });
      using remote = connect<typeof api>(target, { timeout: 30_000 }) as unknown as Loose;
      for (let at = 1;; at++) {
        trap = new Trap(at, thrown);
        const code = await outcome(call(remote), 3);
        const where = `${kind} at ${at}`;
        if (trap.hasSprung) sprung += 1;
        // Some of what is done is done twice, or its failure means that something is not there.
        const own = kind === "an error of this package" ? ["CORRUPT"] : [];
        const refusals = name.includes("issues") ? ["INVALID_ARGUMENTS"] : [];
        const mayBe = ["ok", "REMOTE", "NOT_SERIALIZABLE", ...own, ...refusals];
        assert(mayBe.includes(code), `${where}: ${code}`);
        assertEquals(await remote.ping(), "pong", where);
        if (!trap.hasSprung) break;
      }
      await service.close();
    }
    assert(sprung >= Object.keys(kinds).length, `${sprung}`);
  });
}

for (const transport of transports) {
  test(`${transport.title}: code of users fails: onCall, on both sides, also asynchronously`, async () => {
    for (const [kind, thrown] of Object.entries(kinds)) {
      for (const isLate of [false, true]) {
        const target = transport.newTarget();
        const told: CallRecord[] = [];
        const onCall = (call: CallRecord): unknown => {
          told.push(call);
          if (isLate) return Promise.reject(thrown());
          throw thrown();
        };
        const api = { ping: () => "pong", long: (bytes: Uint8Array) => bytes };
        const lines = await reports(async () => {
          await using service = serve(target, api, { onCall, maxRequestBytes: 4_096 });
          using remote = connect<typeof api>(target, { onCall });
          for (let round = 0; round < 3; round++) assertEquals(await remote.ping(), "pong", kind);
          assertEquals((await remote.long(longBytes)).byteLength, longBytes.byteLength);
          await eventually(() => told.length === 8);
          void service;
        });
        assertEquals(lines.length, 1, `${kind}: each error of a hook is told once`);
        assert(lines[0]!.includes("onCall"), lines[0]);
      }
    }
  });
}

for (const transport of transports) {
  test(`${transport.title}: code of users fails: the console itself`, async () => {
    const target = transport.newTarget();
    const fail = () => {
      throw revoked();
    };
    const { error } = console;
    await using service = serve(target, { ping: () => "pong" }, { onCall: fail });
    using remote = connect<{ ping(): string }>(target, { onCall: fail });
    console.error = fail;
    try {
      for (let round = 0; round < 3; round++) assertEquals(await remote.ping(), "pong");
    } finally {
      console.error = error;
    }
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: code of users fails: a tracer`, async () => {
    const key = Symbol.for("opentelemetry.js.api.1");
    const global = globalThis as unknown as Record<symbol, object>;
    const provider = new BasicTracerProvider({ spanProcessors: [] });
    trace.setGlobalTracerProvider(provider);
    const api = global[key]!;
    try {
      const target = transport.newTarget();
      const methods = {
        ping: () => "pong",
        later: async () => await Promise.resolve("pong"),
        fail: () => {
          throw new RangeError("x");
        },
      };
      let sprung = 0;
      const lines = await reports(async () => {
        await using service = serve(target, methods);
        using remote = connect<typeof methods>(target);
        for (const [kind, thrown] of Object.entries(kinds)) {
          for (let at = 1;; at++) {
            const trap = new Trap(at, thrown);
            global[key] = trapped({ ...api }, trap);
            assertEquals(await remote.ping(), "pong", `${kind} at ${at}`);
            assertEquals(await remote.later(), "pong", `${kind} at ${at}`);
            assertEquals(await outcome(remote.fail(), 0), "REMOTE", `${kind} at ${at}`);
            if (!trap.hasSprung) break;
            sprung += 1;
          }
        }
        void service;
      });
      assert(sprung > 20 * Object.keys(kinds).length, `${sprung}`);
      assert(lines.length <= 10 && lines.every((line) => line.includes("tracer")), lines.join());
    } finally {
      global[key] = api;
      trace.disable();
      context.disable();
      await provider.shutdown();
    }
  }, { skip: isBare ? "OpenTelemetry reads the environment" : null });
}

for (const transport of transports) {
  test(`${transport.title}: code of users fails: a context manager that runs a method twice, or never, or swallows`, async () => {
    const key = Symbol.for("opentelemetry.js.api.1");
    const global = globalThis as unknown as Record<symbol, unknown>;
    const span = {
      spanContext: () => ({ traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 }),
      setStatus: () => {},
      setAttribute: () => {},
      recordException: () => {},
      end: () => {},
    };
    const active = { getValue: () => undefined, setValue: () => active, deleteValue: () => active };
    const manners: Readonly<Record<string, (body: () => unknown) => unknown>> = {
      never: () => undefined,
      twice: (body) => [body(), body()],
      swallows: (body) => {
        try {
          body();
        } catch {
          // As a bad one does.
        }
      },
      late: (body) => {
        body();
        throw new Error("too late");
      },
    };
    for (const [manner, manage] of Object.entries(manners)) {
      global[key] = {
        trace: { getTracer: () => ({ startSpan: () => span }) },
        context: { active: () => active, with: (_: unknown, body: () => unknown) => manage(body) },
      };
      try {
        await reports(async () => {
          let runs = 0;
          const target = transport.newTarget();
          const api = {
            count: () => ++runs,
            fail: () => {
              throw new RangeError("x");
            },
          };
          await using service = serve(target, api);
          using remote = connect<typeof api>(target);
          assertEquals(await remote.count(), 1, manner);
          assertEquals(await outcome(remote.fail(), 0), "REMOTE", manner);
          assertEquals([await remote.count(), runs], [2, 2], manner);
          void service;
        });
      } finally {
        delete global[key];
      }
    }
  });
}

for (const transport of transports) {
  test(`${transport.title}: code of users fails: a thenable that answers twice, or late, or never`, async () => {
    const target = transport.newTarget();
    const api = {
      twice: () => ({
        then: (resolve: (value: number) => void, reject: (error: Error) => void) => {
          resolve(1);
          resolve(2);
          reject(new Error("late"));
          throw new Error("later");
        },
      }),
      never: () => ({ then: () => {} }),
      proxied: revoked,
      callable: () =>
        Object.assign(() => {}, { then: (resolve: (value: string) => void) => resolve("called") }),
      ping: () => "pong",
    };
    const service = serve(target, api);
    using remote = connect<typeof api>(target);
    const loose = remote as unknown as Record<string, () => Promise<unknown>>;
    assertEquals(await loose["twice"]!(), 1);
    assertEquals(await loose["callable"]!(), "called");
    assertEquals(await outcome(loose["proxied"]!(), 0), "REMOTE");
    const never = withOptions(remote, { timeout: 20 }) as unknown as typeof loose;
    assertEquals(await outcome(never["never"]!(), 0), "TIMEOUT");
    assertEquals(await remote.ping(), "pong");
    await service.close({ timeout: 0 });
  });
}

const handlers: Readonly<Record<string, (trap: Trap) => unknown>> = {
  "throws": (trap) => trap.touch(),
  "rejects": async (trap) => {
    await Promise.resolve();
    trap.touch();
  },
  "returns a thenable": (trap) =>
    trapped({ then: (resolve: (value: string) => void) => resolve("x") }, trap),
  "returns a promise": (trap) => trapped(Promise.resolve("x"), trap),
  "returns what is no payload": (trap) => trapped({ constructor: { name: "Odd" } }, trap),
  "throws what cannot be looked at": (trap) => {
    throw trapped(Object.assign(new Error("x", { cause: new Error("y") }), deep()), trap);
  },
};

for (const [name, handler] of Object.entries(handlers)) {
  test(`code of users fails: a handler ${name}`, async () => {
    for (const [kind, thrown] of Object.entries(kinds)) {
      const target = newTarget();
      const server = Server.create(target);
      let trap = new Trap(Infinity, thrown);
      const serving = server.serve((request) =>
        request.text() === "ping" ? "pong" : handler(trap) as string
      );
      using client = Client.open(target);
      for (let at = 1;; at++) {
        trap = new Trap(at, thrown);
        const code = await outcome(client.request("x", { timeout: 30_000 }), 0);
        assert(code === "ok" || code === "REMOTE", `${kind} at ${at}: ${code}`);
        assertEquals(text(await client.request("ping")), "pong", `${kind} at ${at}`);
        if (!trap.hasSprung) break;
      }
      using call = client.sendSync("x");
      server.close();
      await serving;
      void call;
    }
  });
}

test("code of users fails: the caller's signal, options and arguments", async () => {
  const target = newTarget();
  const api = {
    ping: () => "pong",
    echo: (value: unknown) => value,
    // Ends with its caller: or there would be no place left for others.
    never: () => new Promise((resolve) => callContext()!.signal.addEventListener("abort", resolve)),
  };
  const service = serve(target, api);
  using server = Server.anonymous();
  const serving = server.serve((request) => request.text());
  using client = Client.fromFd(server.fd);
  using remote = connect<typeof api>(target, { timeout: 30_000 });
  for (const [kind, thrown] of Object.entries(kinds)) {
    for (let at = 1;; at++) {
      const trap = new Trap(at, thrown);
      const controller = new AbortController();
      const { signal } = controller;
      // Not `aborted`: Deno's own `abort` reads it.
      const names = [
        "reason",
        "throwIfAborted",
        "addEventListener",
        "removeEventListener",
      ] as const;
      for (const name of names) {
        const found = () => {
          trap.touch();
          const value: unknown = Reflect.get(AbortSignal.prototype, name, signal);
          return typeof value === "function" ? value.bind(signal) : value;
        };
        Object.defineProperty(signal, name, { get: found });
      }
      const aborted = [
        outcome(withOptions(remote, { signal }).never(), 0),
        outcome(withOptions(remote, { signal, idempotent: true }).never(), 0),
      ];
      await outcome(withOptions(remote, { signal }).ping(), 0);
      await outcome(client.request("x", { signal }), 0);
      await outcome(client.request("x", trapped({ timeout: 30_000, maxDeliveries: 1 }, trap)), 0);
      await outcome(remote.echo(trapped(deep(), trap)) as Promise<unknown>, 0);
      controller.abort();
      await Promise.all(aborted);
      assertEquals(await remote.ping(), "pong", `${kind} at ${at}`);
      assertEquals(text(await client.request("ping")), "ping", `${kind} at ${at}`);
      if (!trap.hasSprung) break;
    }
  }
  server.close();
  await serving;
  await service.close({ timeout: 0 });
});
