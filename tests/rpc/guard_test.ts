/**
 * Code of users that fails, wherever it is called: one call fails, and the next is answered. What users
 * give is wrapped so that everything done to it is counted, and one thing after the other is made to
 * throw, until none is left.
 */
import { assert, assertEquals } from "@std/assert";
import {
  callContext,
  Client,
  connect,
  raw,
  serve,
  Server,
  type StandardResult,
  type StandardSchema,
  validated,
  withOptions,
} from "../../mod.ts";
import { newTarget, test, text } from "../support/harness.ts";
import { transports } from "../support/sites.ts";
import {
  deep,
  kinds,
  longBytes,
  outcome,
  type Result,
  revoked,
  Trap,
  trapped,
} from "../support/hostile.ts";

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

for (const { name, method, call = (remote: Loose) => remote.run() } of places) {
  test(`user code fails: ${name}`, async () => {
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
        // Some operations are repeated, or their failure means that a property is missing.
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
  test(`${transport.title}: user code fails: a thenable that answers twice, or late, or never`, async () => {
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
  "returns a value that is no payload": (trap) => trapped({ constructor: { name: "Odd" } }, trap),
  "throws an error whose properties throw": (trap) => {
    throw trapped(Object.assign(new Error("x", { cause: new Error("y") }), deep()), trap);
  },
};

for (const [name, handler] of Object.entries(handlers)) {
  test(`user code fails: a handler ${name}`, async () => {
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

test("user code fails: the caller's signal, options and arguments", async () => {
  const target = newTarget();
  const api = {
    ping: () => "pong",
    echo: (value: unknown) => value,
    // Ends with its caller, to free its place.
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
