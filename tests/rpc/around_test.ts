/** Functions around the calls of a service or a connection. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import process from "node:process";
import * as z from "zod";
import {
  type Around,
  type AroundCall,
  callContext,
  type CallRecord,
  type ClientCall,
  connect,
  type Metadata,
  type Next,
  RemoteError,
  serve,
  type ServiceCall,
  TandemError,
  validated,
  withOptions,
} from "../../mod.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import { assertRejectsCode, doomed, eventually, test } from "../support/harness.ts";
import { kinds } from "../support/hostile.ts";
import { collect, rejection, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

class Service {
  runs = 0;
  readonly errors = [CustomError];

  add(a: number, b: number): number {
    this.runs += 1;
    return a + b;
  }

  async addLater(a: number, b: number): Promise<number> {
    await Promise.resolve();
    return this.add(a, b);
  }

  metadata(): Metadata {
    return { ...callContext()!.metadata };
  }

  async *count(to: number): AsyncGenerator<number, string> {
    this.runs += 1;
    for (let number = 1; number <= to; number++) yield await Promise.resolve(number);
    return "end";
  }

  async *users(): AsyncGenerator<unknown> {
    for (;;) yield await Promise.resolve(callContext()!.metadata.user);
  }

  fail(): never {
    throw new RangeError("in the method");
  }

  hang(): Promise<void> {
    return new Promise(() => {});
  }

  length(bytes: Uint8Array): number {
    return bytes.byteLength;
  }
}

const patient = { timeout: 30_000, errors: [CustomError] };

for (const site of sites) {
  test(`${site.title}: around of a connection sees calls, streams and errors, and changes them`, async () => {
    const heard: string[] = [];
    async function around(call: ClientCall, next: Next): Promise<unknown> {
      call.metadata = { ...call.metadata, request: "r1" };
      if (call.method === "addLater") {
        call.args = [...call.args].map((number) => Number(number) * 2);
      }
      try {
        const result = await next();
        heard.push(`${call.side} ${call.method} ok`);
        return call.method === "add" ? Number(result) + 0.5 : result;
      } catch (error) {
        heard.push(`${call.side} ${call.method} ${(error as Error).name}`);
        throw error;
      }
    }
    using there = await typedAt(site, {}, { around, metadata: { tenant: "a" } });
    const { remote, target } = there;
    assertEquals(await remote.add(1, 2), 3.5);
    assertEquals(await remote.addLater(1, 2), 6);
    assertEquals(await remote.metadata(), { tenant: "a", request: "r1" });
    assertEquals(await withOptions(remote, { metadata: { tenant: "b" } }).metadata(), {
      tenant: "b",
      request: "r1",
    });
    assertInstanceOf(await rejection(remote.fail("custom")), CustomError);
    const dialogue = remote.dialogue();
    assertEquals((await dialogue.next()).value, "first");
    assertEquals((await dialogue.next("you")).value, "heard you");
    assertEquals(await dialogue.throw(new Error("no")), { done: true, value: "caught no" });
    assertEquals((await collect(remote.pieces(10, 3))).length, 3);
    assertEquals(heard, [
      "client add ok",
      "client addLater ok",
      "client metadata ok",
      "client metadata ok",
      "client fail CustomError",
      "client dialogue ok",
      "client pieces ok",
    ]);
    assert(typeof target === "string");
  });
}

for (const transport of transports) {
  const title = transport.title;

  test(`${title}: around of a service sees each call and changes it`, async () => {
    const target = transport.newTarget();
    const seen: unknown[] = [];
    const api = new Service();
    const around = async (call: ServiceCall, next: Next): Promise<unknown> => {
      const { side, method, args, metadata, deliveries, timeRemaining, signal } = call;
      seen.push([side, method, [...args], { ...metadata }, deliveries]);
      assert(timeRemaining > 0 && !signal.aborted);
      assertEquals(call.peer.pid, process.pid);
      assertEquals(callContext(), call);
      if (method === "add") call.args = [10, ...args.slice(1)];
      call.metadata = { ...metadata, user: `user of ${metadata.token}` };
      const result = await next();
      assertEquals(callContext(), call);
      return method === "addLater" ? [result] : result;
    };
    await using service = serve(target, api, { around, maxRequestBytes: 4_096 });
    using remote = connect<Service>(target, { ...patient, metadata: { token: "t" } });
    assertEquals(await remote.add(1, 2), 12);
    assertEquals(await remote.addLater(1, 2) as unknown, [3]);
    assertEquals(await remote.metadata(), { token: "t", user: "user of t" });
    assertEquals(await remote.length(new Uint8Array(100_000)), 100_000);
    const users = remote.users();
    for (let step = 0; step < 3; step++) assertEquals((await users.next()).value, "user of t");
    await users.return(undefined);
    assertEquals(seen.slice(0, 2), [
      ["service", "add", [1, 2], { token: "t" }, 1],
      ["service", "addLater", [1, 2], { token: "t" }, 1],
    ]);
    assertEquals(seen.length, 5);
    void service;
  });

  test(`${title}: calls through around keep their contexts apart`, async () => {
    const target = transport.newTarget();
    const around: Around<ServiceCall> = async (call, next) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      call.metadata = { user: call.metadata.user };
      const result = await next();
      assertEquals(callContext(), call);
      return result;
    };
    const api = {
      async who(): Promise<unknown> {
        const before = callContext()!.metadata.user;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
        return [before, callContext()!.metadata.user];
      },
    };
    await using service = serve(target, api, { around });
    using remote = connect<typeof api>(target, patient);
    const users = Array.from({ length: 50 }, (_, user) => user);
    const answers = await Promise.all(
      users.map((user) => withOptions(remote, { metadata: { user } }).who()),
    );
    assertEquals(answers, users.map((user) => [user, user]));
    void service;
  });

  test(`${title}: around of a service refuses a call, and its method does not run`, async () => {
    const target = transport.newTarget();
    const api = new Service();
    const around: Around<ServiceCall> = ({ metadata: { how } }, next) => {
      if (how === "throw") throw new CustomError("refused");
      if (how === "reject") return Promise.reject(new CustomError("refused"));
      if (how === "unregistered") throw new SyntaxError("refused");
      if (how === "code") throw new TandemError("PERMISSION", "refused");
      if (how === "nothing") return;
      if (how === "answer") return 42;
      return next();
    };
    await using service = serve(target, api, { around, errors: [CustomError] });
    using remote = connect<Service>(target, patient);
    const how = (how: string) => withOptions(remote, { metadata: { how } });
    for (const kind of ["throw", "reject"]) {
      const error = await rejection(how(kind).add(1, 2));
      assertInstanceOf(error, CustomError);
      assertEquals(error.message.includes("refused"), true);
      // A stream that was refused fails at its first step.
      assertInstanceOf(await rejection(how(kind).count(3).next()), CustomError);
    }
    for (const kind of ["unregistered", "code"]) {
      assertInstanceOf(await rejection(how(kind).add(1, 2)), RemoteError);
    }
    assertEquals(await how("nothing").add(1, 2) as unknown, undefined);
    assertEquals(await how("answer").add(1, 2), 42);
    assertEquals(api.runs, 0);
    assertEquals(await how("").add(1, 2), 3);
    assertEquals(api.runs, 1);
    void service;
  });

  test(`${title}: around of either side may wrap a stream`, async () => {
    const target = transport.newTarget();
    const doubling = async (_: AroundCall, next: Next): Promise<unknown> => {
      const stream = await next() as AsyncGenerator<number, string>;
      return (async function* () {
        for (;;) {
          const { done, value } = await stream.next();
          if (done) return `${value}!`;
          yield Number(value) * 2;
        }
      })();
    };
    await using service = serve(target, new Service(), { around: doubling });
    using remote = connect<Service>(target, { ...patient, around: doubling });
    assertEquals(await collect(remote.count(3)), [4, 8, 12]);
    const stream = remote.count(1);
    const steps = await Promise.all([stream.next(), stream.next(), stream.next()]);
    assertEquals(
      steps,
      [
        { done: false, value: 4 },
        { done: true, value: "end!!" },
        { done: true, value: undefined },
      ] as unknown as typeof steps,
    );
    void service;
  });

  test(`${title}: what around returns on a client can be iterated as before`, async () => {
    const target = transport.newTarget();
    await using service = serve(target, new Service());
    const arounds: Around<ClientCall>[] = [
      (_, next) => next(),
      async (_, next) => await next(),
      async (_, next) => {
        await Promise.resolve();
        return next();
      },
      // Any async iterable, too.
      (_, next) => {
        const stream = next() as unknown as AsyncIterable<number>;
        return Promise.resolve({ [Symbol.asyncIterator]: () => stream[Symbol.asyncIterator]() });
      },
    ];
    for (const around of arounds) {
      using remote = connect<Service>(target, { ...patient, around });
      assertEquals(await collect(remote.count(3)), [1, 2, 3]);
      const broken: number[] = [];
      for await (const number of remote.count(1_000)) {
        broken.push(number);
        if (number === 2) break;
      }
      assertEquals(broken, [1, 2]);
    }
    void service;
  });

  test(`${title}: around of a service runs its method once, and never after the call`, async () => {
    const target = transport.newTarget();
    const api = new Service();
    let late: Next | undefined;
    const around: Around<ServiceCall> = async (call, next) => {
      if (call.metadata.how === "late") {
        late = next;
        return "early";
      }
      await next();
      return await next();
    };
    await using service = serve(target, api, { around });
    using remote = connect<Service>(target, patient);
    const error = await rejection<RemoteError>(remote.add(1, 2));
    assertEquals(error.remoteName, "TypeError");
    assert(error.remoteMessage.includes("twice"), error.remoteMessage);
    assertEquals(api.runs, 1);
    const result = await withOptions(remote, { metadata: { how: "late" } }).add(1, 2);
    assertEquals(result as unknown, "early");
    await assertRejects(() => late!(), TypeError, "the call has ended");
    // Without a handler this is no unhandled rejection.
    void late!();
    assertEquals(api.runs, 1);
    void service;
  });

  test(`${title}: arguments that are no array are refused in both arounds`, async () => {
    const target = transport.newTarget();
    const api = new Service();
    const around = (call: AroundCall, next: Next): unknown => {
      Object.assign(call, { args: "text" });
      return next();
    };
    {
      await using service = serve(target, api, { around });
      using remote = connect<Service>(target, patient);
      assert((await rejection<RemoteError>(remote.add(1, 2))).remoteMessage.includes("call.args"));
      void service;
    }
    using remote = connect<Service>(target, { ...patient, around });
    await assertRejects(() => remote.add(1, 2), TypeError, "call.args");
    assertEquals(api.runs, 0);
  });

  test(`${title}: user code fails: around of a service`, async () => {
    const target = transport.newTarget();
    let fail: (next: Next) => unknown = (next) => next();
    await using service = serve(target, new Service(), { around: (_, next) => fail(next) });
    using remote = connect<Service>(target, patient);
    for (const [kind, thrown] of Object.entries(kinds)) {
      const ways: ((next: Next) => unknown)[] = [
        () => {
          throw thrown();
        },
        () => Promise.reject(thrown()),
        () => ({
          then: () => {
            throw thrown();
          },
        }),
        () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(thrown()) }),
        () => ({
          get then() {
            throw thrown();
          },
        }),
        // The method runs all the same, and rejects.
        (next) => {
          void next();
          throw thrown();
        },
      ];
      for (const way of ways) {
        fail = way;
        await rejection(remote.fail());
        fail = (next) => next();
        assertEquals(await remote.add(1, 2), 3, kind);
      }
    }
    fail = (next) => {
      void next();
      return "something else";
    };
    assertEquals(await remote.fail() as unknown, "something else");
    fail = () => new Promise(() => {});
    await assertRejectsCode(withOptions(remote, { timeout: 30 }).add(1, 2), "TIMEOUT");
    fail = (next) => next();
    assertEquals(await remote.add(1, 2), 3);
    await service.close({ timeout: 0 });
  });

  test(`${title}: a method that runs on after around holds its place, and close waits for it`, async () => {
    const target = transport.newTarget();
    const holding: (() => void)[] = [];
    const api = {
      hold: () => new Promise<void>((resolve) => holding.push(resolve)),
    };
    for (const isLate of [false, true]) {
      const around: Around<ServiceCall> = (_, next) => {
        void next();
        return isLate ? Promise.resolve("late") : "at once";
      };
      const service = serve(target, api, { around, concurrency: 1 });
      using remote = connect<typeof api>(target, patient);
      assertEquals(await remote.hold() as unknown, isLate ? "late" : "at once");
      const second = remote.hold();
      await new Promise((resolve) => setTimeout(resolve, 20));
      assertEquals(holding.length, 1);
      holding.pop()!();
      await second;
      assertEquals(holding.length, 1);
      let isClosed = false;
      const closing = service.close().then(() => isClosed = true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assertEquals(isClosed, false);
      holding.pop()!();
      await closing;
    }
  });

  test(`${title}: around of a client may call again, within the call's timeout`, async () => {
    const target = transport.newTarget();
    let left = 2;
    const api = {
      flaky: (): number => {
        if (left-- > 0) throw new RangeError("not yet");
        return left;
      },
      hang: () => new Promise<void>(() => {}),
    };
    const service = serve(target, api);
    const remaining: number[] = [];
    const around: Around<ClientCall> = async (call, next) => {
      for (;;) {
        try {
          return await next();
        } catch (error) {
          const code = error instanceof TandemError ? error.code : "";
          remaining.push(call.timeout);
          if (code !== "REMOTE" && remaining.length > 3) throw error;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
    };
    using remote = connect<typeof api>(target, { ...patient, around });
    assertEquals(await remote.flaky(), -1);
    const begin = performance.now();
    await assertRejectsCode(withOptions(remote, { timeout: 100 }).hang(), "TIMEOUT");
    // Two more attempts had no time left.
    assert(performance.now() - begin >= 99);
    assertEquals(remaining.length > 3, true);
    await service.close({ timeout: 0 });
  });

  test(`${title}: time that around of a client takes counts for the call's timeout`, async () => {
    const target = transport.newTarget();
    const api = { remaining: () => callContext()!.timeRemaining };
    await using service = serve(target, api);
    const around: Around<ClientCall> = async (call, next) => {
      const first = Number(await next());
      await new Promise((resolve) => setTimeout(resolve, 60));
      const second = Number(await next());
      // A longer one has no effect.
      call.timeout = 90_000;
      return [first, second, await next()];
    };
    using remote = connect<typeof api>(target, { timeout: 30_000, around });
    const [first, second, third] = await remote.remaining() as unknown as number[];
    assert(
      first! <= 30_000 && second! <= 29_950 && third! <= 29_950,
      `${first} ${second} ${third}`,
    );
    void service;
  });

  test(`${title}: around of a client sets timeout, signal and metadata of what it sends`, async () => {
    const target = transport.newTarget();
    const service = serve(target, new Service());
    let change: (call: ClientCall) => void = () => {};
    const around: Around<ClientCall> = (call, next) => {
      change(call);
      return next();
    };
    using remote = connect<Service>(target, { ...patient, around });
    change = (call) => call.timeout = 30;
    await assertRejectsCode(remote.hang(), "TIMEOUT");
    change = (call) => call.timeout = -1;
    await assertRejects(() => remote.hang(), RangeError, "call.timeout");
    change = (call) => Object.assign(call, { metadata: "text" });
    await assertRejects(() => remote.hang(), TypeError, "as metadata");
    change = (call) => Object.assign(call, { signal: {} });
    await assertRejects(() => remote.hang(), TypeError, "call.signal");
    change = (call) => call.metadata = { a: 1, b: undefined };
    assertEquals(await remote.metadata(), { a: 1 });
    for (const isOwn of [true, false]) {
      const [own, added] = [new AbortController(), new AbortController()];
      change = (call) => call.signal = added.signal;
      const call = doomed(withOptions(remote, { signal: own.signal }).hang());
      (isOwn ? own : added).abort(new Error("enough"));
      assertEquals((await rejection(call)).message, "enough");
    }
    await service.close({ timeout: 0 });
  });

  test(`${title}: user code fails: around of a client`, async () => {
    const target = transport.newTarget();
    const service = serve(target, new Service());
    let ended: Next | undefined;
    const thrown = new SyntaxError("of around");
    const fail = () => {
      throw thrown;
    };
    const ways: Around<ClientCall>[] = [
      fail,
      () => Promise.reject(thrown),
      () => ({ then: fail }),
      () => ({
        get then() {
          return fail();
        },
      }),
      (_, next) => {
        void next();
        void next();
        ended = next;
        throw thrown;
      },
    ];
    for (const around of ways) {
      using remote = connect<Service>(target, { ...patient, around });
      assertEquals(await rejection(remote.fail()), thrown);
      assertEquals(await rejection(remote.count(3).next()), thrown);
      // The ignored calls are answered, and reject, before this one is.
      using other = connect<Service>(target, patient);
      assertEquals(await other.addLater(1, 2), 3);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    void ended!;
    using early = connect<Service>(target, {
      ...patient,
      around: (_, next) => {
        ended = next;
        return "early";
      },
    });
    assertEquals(await early.add(1, 2) as unknown, "early");
    await assertRejects(() => ended!(), TypeError, "the call has ended");
    void ended!();
    await service.close();
  });

  test(`${title}: closing the connection ends a call in its around`, async () => {
    const target = transport.newTarget();
    const service = serve(target, new Service());
    const around: Around<ClientCall> = async (_, next) => await next();
    const remote = connect<Service>(target, { ...patient, around });
    const hanging = remote.hang();
    // Nothing awaits this one: closing on purpose is no unhandled rejection.
    void remote.hang();
    await eventually(() => service.stats().inFlight === 2);
    remote[Symbol.dispose]();
    await assertRejectsCode(hanging, "CLOSED");
    await service.close({ timeout: 0 });
  });

  test(`${title}: around goes with onCall, idempotent methods and validated ones`, async () => {
    const target = transport.newTarget();
    const records: CallRecord[] = [];
    const onCall = (call: CallRecord) => void records.push(call);
    const api = {
      twice: validated(z.tuple([z.number()]), (number) => number * 2),
    };
    const around = (call: AroundCall, next: Next): unknown => {
      if (call.args[0] === 0) throw new RangeError(`refused by the ${call.side}`);
      if (call.args[0] === 1 && call.side === "service") throw new RangeError("refused here");
      return next();
    };
    await using service = serve(target, api, { around, onCall });
    using remote = connect<typeof api>(target, { ...patient, around, onCall, idempotent: true });
    assertEquals(await remote.twice(4), 8);
    await assertRejectsCode(remote.twice("x" as unknown as number), "INVALID_ARGUMENTS");
    assertEquals((await rejection(remote.twice(0))).message, "refused by the client");
    assertInstanceOf(await rejection(remote.twice(1)), RemoteError);
    assertEquals(records.map(({ side, outcome }) => `${side} ${outcome}`), [
      "service ok",
      "client ok",
      "service INVALID_ARGUMENTS",
      "client INVALID_ARGUMENTS",
      "service REMOTE",
      "client REMOTE",
    ]);
    void service;
  });

  test(`${title}: around sees the calls of a bare function`, async () => {
    const target = transport.newTarget();
    const seen: string[] = [];
    const around = (call: AroundCall, next: Next): unknown => {
      seen.push(`${call.side}:${call.method}:${call.args}`);
      return next();
    };
    await using service = serve(target, (name: string) => `Hello, ${name}!`, { around });
    using greet = connect<(name: string) => string>(target, { ...patient, around });
    assertEquals(await greet("you"), "Hello, you!");
    assertEquals(seen, ["client::you", "service::you"]);
    void service;
  });
}

test("around that is no function is a TypeError", () => {
  for (const value of [1, "text", null, [(_: unknown, next: Next) => next()], {}]) {
    const around = value as unknown as Around;
    assertThrows(() => connect("memory:nothing", { around }), TypeError, "as around");
    assertThrows(() => serve("memory:nothing", () => {}, { around }), TypeError, "as around");
  }
});
