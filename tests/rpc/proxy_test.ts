/** Functions travel by reference: `proxy`. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import {
  callContext,
  Client,
  connect,
  type Proxied,
  proxy,
  RemoteError,
  serve,
  type TandemError,
  withOptions,
} from "../../mod.ts";
import { Kind, wireVersion } from "../../src/rpc/message.ts";
import type { Failure } from "../fixtures/by_reference.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import { privateChannelsOf } from "../support/bells.ts";
import { borrowing } from "../support/borrowing.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  isBare,
  longEnough,
  newTarget as newChannel,
  ownRuntime,
  pairs,
  runtime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { collect, rejection } from "../support/rpc_helper.ts";
import { processSite } from "../support/site.ts";
import { sites, transports } from "../support/sites.ts";

// deno-lint-ignore no-explicit-any -- functions of any type
type AnyFunction = (...args: any[]) => any;

for (const site of sites) {
  test(`${site.title}: a function runs here when the other side calls it`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const seen: number[] = [];
    const results = await remote.count(
      5,
      proxy((number) => {
        seen.push(number);
        return number % 2 === 0 ? Promise.resolve(number * 10) : number * 10;
      }),
    );
    assertEquals(seen, [0, 1, 2, 3, 4]);
    assertEquals(results, [0, 10, 20, 30, 40]);
    const values = [new Map([[1, new Date(2)]]), undefined, 5n, new Uint8Array(3)];
    assertEquals(await remote.call(proxy((...args) => args), ...values), values);
    assertEquals(await remote.call(proxy(() => {})), undefined);
    await there.stop();
  });

  test(`${site.title}: what a function throws arrives as an error of a method does`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const failing = (thrown: unknown) =>
      remote.failure(proxy(() => {
        throw thrown;
      }));
    const error = await failing(Object.assign(new RangeError("far", { cause: 7 }), { extra: 1 }));
    assertEquals([error.code, error.remoteName, error.cause], ["REMOTE", "RangeError", 7]);
    assertStringIncludes(error.message!, "far");
    assertEquals((await failing(new CustomError("own"))).name, "CustomError");
    assertEquals((await failing("text")).cause, "text");
    // Through both sides.
    const thrown = await rejection(remote.call(proxy(() => Promise.reject(new TypeError("deep")))));
    assertInstanceOf(thrown, RemoteError);
    assertStringIncludes(thrown.message, "deep");
    const unsendable = await remote.failure(proxy(() => () => 1));
    assertEquals(unsendable.code, "NOT_SERIALIZABLE");
    assertStringIncludes(unsendable.message!, "pass proxy(fn)");
    const getter = {
      get broken() {
        throw new TypeError("in a getter");
      },
    };
    assertEquals((await remote.failure(proxy(() => getter))).remoteName, "TypeError");
    await there.stop();
  });

  test(`${site.title}: calls run in their order, long ones too, whatever waits for whom`, async () => {
    using there = await borrowing(site);
    const seen: number[] = [];
    const note = proxy((bytes: Uint8Array) => {
      const index = bytes.length === 400_000 ? seen.length : bytes.length;
      assert(bytes.every((byte) => byte === index % 256), "the arguments are those of the call");
      seen.push(index);
      return index;
    });
    const second = proxy((bytes: Uint8Array) => note(bytes));
    assertEquals(
      await there.remote.inTurn(30, note, second),
      Array.from({ length: 30 }, (_, index) => index),
    );
    assertEquals(seen, Array.from({ length: 30 }, (_, index) => index));
    await there.stop();
  });

  test(`${site.title}: calls that nobody awaits all run, in order, before the call resolves`, async () => {
    using there = await borrowing(site);
    for (const count of [1, 7, 3_000]) {
      const seen: number[] = [];
      const answer = await there.remote.flood(count, proxy((number) => void seen.push(number)));
      assertEquals(answer, "flooded");
      assertEquals(seen, Array.from({ length: count }, (_, index) => index));
    }
    // Slow functions hold up the method, and so the memory for their arguments is bounded.
    let running = 0;
    let most = 0;
    const slow = async () => {
      most = Math.max(most, running += 1);
      await Promise.resolve();
      running -= 1;
      throw new Error("nobody hears this");
    };
    await there.remote.flood(2_000, proxy(slow));
    assert(most <= 512, `${most} at once`);
    await there.stop();
  });

  test(`${site.title}: a function ends with its call`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    let calls = 0;
    await remote.keep(proxy(() => void (calls += 1)));
    const { code, message } = await remote.keptFailure(0);
    assertEquals(code, "CANCELLED");
    assertStringIncludes(message!, "keep: true");
    // With a call that fails, as well.
    await assertRejectsCode(remote.call(proxy(() => {}), () => {}), "NOT_SERIALIZABLE");
    await assertRejectsCode(remote.call(undefined as never), "REMOTE");
    assertEquals(calls, 0);
    // And with the stream that is the result.
    const lines: unknown[] = [];
    const stream = remote.lines(3, proxy((line) => lines.push(line)));
    assertEquals(await collect(stream), [1, 2, 3]);
    assertEquals(lines, [0, 1, 2]);
    await there.stop();
  });

  test(`${site.title}: a kept function lives until either side disposes it`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const here = proxy((a: number, b: number) => a + b, { keep: true });
    const kept = here as AnyFunction;
    assertEquals(await remote.keep(kept), 0);
    assertEquals(await remote.keep(kept), 1);
    for (let round = 0; round < 3; round++) {
      assertEquals(await remote.callKept(0, round, 1), round + 1);
      assertEquals(await remote.callKept(1, round, 2), round + 2);
    }
    await remote.disposeKept(0);
    assertEquals((await remote.keptFailure(0)).code, "CLOSED");
    assertEquals(await remote.callKept(1, 1, 2), 3);
    here[Symbol.dispose]();
    here[Symbol.dispose]();
    assertEquals((await remote.keptFailure(1)).code, "CANCELLED");
    await assertRejectsCode(remote.keep(kept), "NOT_SERIALIZABLE", "disposed");
    // It still works here.
    assertEquals(here(1, 2), 3);
    await there.stop();
  });

  test(`${site.title}: functions in results live until they are disposed`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const adder = await remote.adder(5);
    const add = adder.add as unknown as Proxied<typeof adder.add>;
    assertEquals(await Promise.all([add(1), add(2), add(3)]), [6, 7, 8]);
    const other = (await remote.adder(7)).add;
    add[Symbol.dispose]();
    const refused = await rejection<TandemError>(add(1));
    assertEquals(refused.code, "CLOSED");
    assertEquals(await other(1), 8);
    assertEquals(await (await remote.describeContext())(), "describeContext Infinity");
    await there.stop();
  });

  test(`${site.title}: functions inside of values, of their own arguments and results`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const wrapped = await remote.wrap(proxy((...values) => values, { keep: true })) as AnyFunction;
    assertEquals(await wrapped(1, 2), ["wrapped", [1, 2]]);
    // Each call gets functions, and gives some.
    const deep = await wrapped({ inner: [proxy((number: number) => number * 2)] });
    assertEquals(deep[0], "wrapped");
    const chain = async (depth: number): Promise<number> => {
      if (depth === 0) return 0;
      const next = proxy(() => chain(depth - 1));
      return 1 + (await remote.call(next) as number);
    };
    assertEquals(await chain(20), 20);
    await there.stop();
  });

  test(`${site.title}: a function that comes back is the one that was sent`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const mine = proxy(() => "mine");
    const [first, second] = await remote.echo(mine, { deep: [mine] });
    assert(first === mine);
    assert((second as { deep: unknown[] }).deep[0] === mine);
    assert(await remote.isSame(mine, mine, mine));
    assert(!await remote.isSame(mine, proxy(() => "mine")));
    // Theirs as well: no call goes to and fro.
    const theirs = (await remote.adder(1)).add;
    assert(await remote.isSame(theirs, theirs));
    assertEquals(await remote.call(theirs as AnyFunction, 2), 3);
    let passed: unknown;
    await remote.call(proxy((value) => void (passed = value)), mine);
    assert(passed === mine);
    await there.stop();
  });

  test(`${site.title}: functions in streams end with them`, async () => {
    using there = await borrowing(site);
    const { remote } = there;
    const stream = remote.functions(3);
    const items: (() => number)[] = [];
    for (let index = 0; index < 2; index++) items.push((await stream.next()).value);
    assertEquals(await Promise.all(items.map((item) => item())), [0, 1]);
    await stream.return(undefined);
    for (const item of items) {
      assertEquals((await rejection<TandemError>(Promise.resolve(item()))).code, "CANCELLED");
    }
    const calling = remote.caller();
    await calling.next();
    assertEquals((await calling.next(proxy(() => "one"))).value, "one");
    assertEquals((await calling.next(proxy(() => "two"))).value, "two");
    await calling.return();
    // A generator is a stream, as it is of a method.
    const generator = proxy(async function* (count: number) {
      for (let index = 0; index < count; index++) yield await Promise.resolve(index);
    });
    const items2 = await remote.call(generator as AnyFunction, 3) as AsyncIterable<number>;
    assertEquals(await collect(items2), [0, 1, 2]);
    await there.stop();
  });

  test(`${site.title}: a call of a function ends with the call that it came with`, async () => {
    using there = await borrowing(site);
    const { remote, service } = there;
    const never = proxy(() => new Promise(() => {}));
    const controller = new AbortController();
    const aborted = withOptions(remote, { signal: controller.signal }).waitOn(never);
    await service.expect("waiting");
    controller.abort(new Error("enough"));
    assertStringIncludes((await rejection(aborted)).message, "enough");
    await service.expect("callback ended CANCELLED");
    await longEnough(50, async (timeout) => {
      const before = await remote.waits();
      // Both have the same deadline, and the answer may be quicker than the caller's clock.
      const late = withOptions(remote, { timeout }).waitOn(never);
      assertEquals(await late.catch(({ code }) => code), "TIMEOUT");
      return await remote.waits() > before;
    });
    await service.expect("waiting");
    await service.expect("callback ended TIMEOUT");
    const closing = remote.waitOn(never);
    await service.expect("waiting");
    remote[Symbol.dispose]();
    await assertRejectsCode(closing, "CLOSED");
    const ended = await service.line();
    assert(/callback ended (SERVER_DIED|CANCELLED)/.test(ended), ended);
    await there.stop();
  });

  test(`${site.title}: a callback may call its service again`, async () => {
    using there = await borrowing(site, { concurrency: 2 });
    const { remote } = there;
    const again = proxy(async (number: number) => (await remote.count(1, proxy(() => number)))[0]);
    assertEquals(await remote.count(3, again), [0, 1, 2]);
    await there.stop();
  });

  test(`${site.title}: callbacks take no place of their service`, async () => {
    using there = await borrowing(site, { concurrency: 1 });
    const { remote } = there;
    // Its only place is taken by the call of `count`; the function of the service needs none.
    const theirs = (await remote.adder(1)).add;
    assertEquals(await remote.count(3, proxy((number) => theirs(number))), [1, 2, 3]);
    await there.stop();
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: functions run in the context of the call that sent them`, async () => {
    const target = newTarget();
    const storage = new AsyncLocalStorage<string>();
    await using service = serve(target, {
      twice: async (callback: () => unknown): Promise<unknown[]> =>
        await storage.run("service", async () => [await callback(), await callback()]),
      make: (): () => string | undefined =>
        storage.run("method", () => proxy(() => storage.getStore())),
    });
    using remote = connect<{
      twice(callback: () => unknown): Promise<unknown[]>;
      make(): () => string | undefined;
    }>(target);
    const callback = proxy(() => [storage.getStore(), callContext()?.method]);
    const call = storage.run("caller", () => remote.twice(callback));
    assertEquals(await call, [["caller", undefined], ["caller", undefined]]);
    assertEquals(await remote.twice(callback), [[undefined, undefined], [undefined, undefined]]);
    const made = await remote.make();
    assertEquals(await made(), undefined);
    service.unlink();
  });

  test(`${title}: a call with functions is made before its service is there`, async () => {
    const target = newTarget();
    interface Api {
      call(callback: () => number): Promise<number>;
    }
    using remote = connect<Api>(target);
    const call = remote.call(proxy(() => 5));
    await using service = serve(target, {
      call: async (callback: () => number): Promise<number> => await callback(),
    });
    assertEquals(await call, 5);
    service.unlink();
  });

  test(`${title}: two processes that keep functions of each other end both`, async () => {
    for (const who of ["caller disposes", "service disposes", "caller closes", "service closes"]) {
      const target = newTarget();
      const log: string[] = [];
      let theirs: Proxied<(text: string) => unknown> | undefined;
      const pong = proxy(
        async (text: string): Promise<string> => {
          if (text.length >= 6) return text;
          return await theirs!(`${text}o`) as string;
        },
        { keep: true },
      );
      const service = serve(target, {
        join(ping: (text: string) => unknown): (text: string) => unknown {
          theirs = ping as typeof theirs;
          return pong;
        },
      });
      const remote = connect<{ join(ping: AnyFunction): AnyFunction }>(target);
      const ping = proxy((text: string): unknown => back(`${text}i`), { keep: true });
      const back = await remote.join(ping) as Proxied<AnyFunction>;
      assertEquals(await back("p"), "poioioi");
      assertEquals(await theirs!("q"), "qioioioi".slice(0, 6));
      if (who === "caller disposes") ping[Symbol.dispose]();
      if (who === "service disposes") pong[Symbol.dispose]();
      if (who === "caller closes") remote[Symbol.dispose]();
      if (who === "service closes") await service.close();
      if (who !== "service disposes") {
        const codes = ["CANCELLED", "CLOSED", "SERVER_DIED"];
        log.push((await rejection<TandemError>(theirs!("x"))).code);
        assert(codes.includes(log[0]!), `${who}: ${log}`);
      }
      const { code } = await rejection<TandemError>(back("y"));
      assert(["CANCELLED", "CLOSED", "SERVER_DIED", "REMOTE"].includes(code), `${who}: ${code}`);
      remote[Symbol.dispose]();
      await service.close();
      service.unlink();
    }
  });

  test(`${title}: a dropped call of a function is no unhandled rejection`, async () => {
    const target = newTarget();
    let kept: AnyFunction | undefined;
    await using service = serve(target, {
      keep: (callback: AnyFunction): void => void (kept = callback),
    });
    {
      using remote = connect<{ keep(callback: AnyFunction): void }>(target);
      await remote.keep(proxy(() => Promise.reject(new Error("dropped")), { keep: true }));
      for (let count = 0; count < 3; count++) void kept!();
      await eventually(async () => {
        const { code } = await rejection<TandemError>(kept!());
        return code === "REMOTE";
      }, "the function runs");
    }
    void kept!();
    await eventually(async () => {
      const { code } = await rejection<TandemError>(kept!());
      return ["SERVER_DIED", "CANCELLED", "CLOSED"].includes(code);
    }, "the function is gone");
    service.unlink();
  });
}

test("proxy refuses what is no function, and says what to do", () => {
  class Counter {
    add(): void {}
  }
  for (const value of [{}, new Counter(), null, undefined, 5, "text", Counter]) {
    const error = assertThrows(() => proxy(value as never), TypeError);
    assertStringIncludes(error.message, "Cannot pass");
  }
  assertThrows(() => proxy(() => {}, { keep: 1 as never }), TypeError, "keep");
  assertThrows(() => proxy(() => {}, null as never), TypeError, "options");
  const bound = proxy(function (this: { by: number }, value: number) {
    return value * this.by;
  });
  assertEquals(bound.call({ by: 3 }, 2), 6);
});

if (!isBare) {
  for (const { server, client, title } of pairs) {
    test(`${title}: a caller that is killed during a callback ends it with a code`, async () => {
      using there = await borrowing(processSite(server));
      const { service, target, remote } = there;
      const lender = await spawn(client, "lender.ts", [target, "callback"]);
      const lines = [await service.line(), await lender.line()];
      assertEquals(lines, ["waiting", "called"]);
      await lender.killed();
      await service.expect("callback ended SERVER_DIED");
      assertEquals(await remote.count(1, proxy(() => 1)), [1]);
      await there.stop();
    });

    test(`${title}: a callback in a process that is stopped or blocked obeys the deadline`, async () => {
      using there = await borrowing(processSite(server));
      const { service, target, remote } = there;
      let waits = 0;
      /** All calls of `waitOn` so far have timed out, those that had no time for a callback too. */
      const haveTimedOut = async (): Promise<void> => {
        while (waits < await remote.waits()) {
          const ended = { waiting: 0, "callback ended TIMEOUT": 0 };
          // One may begin before the one before it has ended.
          do {
            const line = await service.line() as keyof typeof ended;
            assert(line in ended, line);
            ended[line] += 1;
          } while (ended.waiting > ended["callback ended TIMEOUT"]);
          waits += ended.waiting;
        }
      };
      const slow = await spawn(client, "lender.ts", [target, "slow-callback"]);
      await slow.expect("called");
      await slow.expect("call ended TIMEOUT");
      await haveTimedOut();
      const stopped = await spawn(client, "lender.ts", [target, "slow-callback"]);
      await stopped.expect("called");
      await stopped.stopped();
      await haveTimedOut();
      const blocked = await spawn(client, "lender.ts", [target, "blocked-callback"]);
      await service.expect("waiting");
      await blocked.expect("called");
      await blocked.killed();
      await service.expect("callback ended SERVER_DIED");
      await there.stop();
    });

    test(`${title}: kept functions end when their process is killed`, async () => {
      using there = await borrowing(processSite(server));
      const { remote, target } = there;
      const lender = await spawn(client, "lender.ts", [target, "keep"]);
      await lender.expect("kept");
      assertEquals(await remote.callKept(1, "a"), [1, "a"]);
      await lender.killed();
      for (const index of [0, 1, 2]) {
        assertEquals((await remote.keptFailure(index)).code, "SERVER_DIED");
      }
      await there.stop();
    });
  }

  for (const { server, client, title } of pairs) {
    test(`${title}: a function is passed on to a third, and comes back`, async () => {
      using there = await borrowing(processSite(server));
      const near = newChannel();
      await using middle = serve(near, {
        pass: (callback: AnyFunction, value: number): Promise<unknown> =>
          there.remote.call(callback, value),
        comesBack: async (callback: AnyFunction): Promise<boolean> =>
          (await there.remote.echo(callback))[0] === callback,
        keep: (callback: AnyFunction): Promise<number> => there.remote.keep(callback),
      });
      const lender = await spawn(client, "lender.ts", [near, "pass"]);
      await lender.expect("passed 42");
      await lender.expect("comes back true");
      // The one in the middle has passed it on for its own call only.
      await lender.expect("kept 0");
      assertEquals((await there.remote.keptFailure(0)).code, "CANCELLED");
      await lender.killed();
      middle.unlink();
      await there.stop();
    });
  }

  test("a service that is killed during a callback ends its caller's call", async () => {
    using there = await borrowing(processSite(runtime));
    const called = Promise.withResolvers<void>();
    const call = doomed(there.remote.waitOn(proxy(() => {
      called.resolve();
      return new Promise(() => {});
    })));
    await called.promise;
    await there.service.killed();
    await assertRejectsCode(call, "SERVER_DIED");
  });

  test("a forged call of a function fails for the forger alone", async () => {
    using there = await borrowing(processSite(runtime));
    let calls = 0;
    const mine = proxy(() => calls += 1, { keep: true });
    await there.remote.keep(mine);
    assertEquals(await there.remote.callKept(0), 1);
    const [path] = privateChannelsOf(there.target);
    using forger = Client.open(path!);
    const trees = [
      // Leases that do not exist, numbers that do.
      [1, 1, 0x80],
      [1, 2, 0x80],
      // No arguments at all, or something else in their place.
      [1, 1],
      [1, 1, 0xa0],
      [0x61, 0x78, 1, 0x80],
    ];
    for (const kind of [Kind.invoke, Kind.watch, Kind.claim, Kind.longInvoke, Kind.drop]) {
      for (const tree of trees) {
        const bytes = Uint8Array.of(wireVersion, kind, 0, 0, 8 + tree.length, 0, 0, 0, ...tree);
        const answer = await forger.request(bytes);
        assertEquals(answer[1], Kind.refused, `kind ${kind}, ${tree}`);
      }
    }
    assertEquals(calls, 1);
    assertEquals(await there.remote.callKept(0), 2);
    await there.stop();
  });

  for (const server of ownRuntime) {
    test(`${server}: 100,000 functions leave memory, slots and entries level`, async () => {
      const target = newChannel();
      const child = await spawn(server, "callback_leak.ts", [target], {
        denoPermissions: ["--allow-ffi", "--v8-flags=--expose-gc"],
      });
      await child.expect("ready");
      for (const kind of ["call", "keep", "result", "dispose"]) {
        await child.ask<Leak>(`${kind} 5`);
        const first = await child.ask<Leak>(`${kind} 10`);
        const second = await child.ask<Leak>(`${kind} 10`);
        assertEquals(first.made + second.made, 20_000);
        for (const { made, freed, slots } of [first, second]) {
          // The collectors may find a few addresses by chance on their stacks.
          assert(made - freed <= 100, `${kind}: ${made - freed} of ${made} are left`);
          assertEquals(slots, 0, `${kind}: no slot is taken`);
        }
        const grown = second.heapBytes - first.heapBytes;
        assert(grown < 1_500_000, `${kind}: ${grown} more bytes`);
      }
      child.send("stop");
      await child.expect("stopped");
    });
  }

  test("a process with a kept function can end", async () => {
    for (const client of runtimes) {
      using there = await borrowing(processSite(runtime));
      const lender = await spawn(client, "lender.ts", [there.target, "keep-and-end"]);
      await lender.expect("kept");
      assertEquals((await lender.exited).code, 0);
      await eventually(async () => {
        const failure: Failure = await there.remote.keptFailure(0);
        return failure.code === "SERVER_DIED";
      }, "the function is gone");
      await there.stop();
    }
  });
}

interface Leak {
  readonly made: number;
  readonly freed: number;
  readonly slots: number;
  readonly heapBytes: number;
}
