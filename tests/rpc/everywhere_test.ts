/** Calls of all services of a target. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import process from "node:process";
import {
  type Around,
  callContext,
  type ClientCall,
  connect,
  everywhere,
  instance,
  proxy,
  serve,
  services,
  withOptions,
} from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  assertRejectsCode,
  type Child,
  eventually,
  longEnough,
  newTarget,
  runtimes,
  test,
} from "../support/harness.ts";
import { collect, rejection, startService } from "../support/rpc_helper.ts";
import { transports } from "../support/sites.ts";

function ofEachRuntime<T>(value: T): T[] {
  return runtimes.map(() => value);
}

function fulfilled<T>(...values: T[]): PromiseSettledResult<T>[] {
  return values.map((value) => ({ status: "fulfilled", value }));
}

/** The codes of the rejected results, and the values of the others. */
function outcomes(results: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return results.map((result) => {
    if (result.status === "fulfilled") return result.value;
    return (result.reason as { code?: string }).code ?? result.reason;
  });
}

/** A service in each runtime. */
async function inEachRuntime(): Promise<{ target: string; started: Child[] }> {
  const target = newTarget();
  const started: Child[] = [];
  for (const runtime of runtimes) started.push(await startService(runtime, target));
  return { target, started };
}

test("every service gets the call once, in the order of the list, whichever runtime it runs on", async () => {
  const { target, started } = await inEachRuntime();
  using remote = connect<Api>(target, { timeout: 30_000 });
  const all = everywhere(remote);
  const pids = started.map(({ pid }) => pid);
  assertEquals(await all.pid(), fulfilled(...pids));
  assertEquals((await services(target)).map(({ pid }) => pid), pids);
  for (let count = 1; count <= 20; count++) {
    assertEquals(await all.count(), fulfilled(...ofEachRuntime(count)));
  }
  assertEquals(await all.length(new Uint8Array(2_500_000)), fulfilled(...ofEachRuntime(2_500_000)));
  const streams = await all.pieces(1, 3);
  for (const result of streams) {
    assert(result.status === "fulfilled");
    assertEquals((await collect(result.value)).length, 3);
  }
  const failed = await all.fail("of its own");
  assertEquals(outcomes(failed), ofEachRuntime("REMOTE"));
});

for (const runtime of runtimes) {
  test(`${runtime} serves: a death, a stop and a newcomer during the call`, async () => {
    const target = newTarget();
    const started: Child[] = [];
    for (let index = 0; index < 3; index++) started.push(await startService(runtime, target));
    const [dies, stops, lives] = started as [Child, Child, Child];
    let ended = 0;
    // It is listed no more a moment before its call has failed here.
    const around: Around<ClientCall> = (_call, next) =>
      Promise.resolve(next()).finally(() => ended++);
    using remote = connect<Api>(target, { timeout: 60_000, around });
    const leaving = new AbortController();
    const call = everywhere(withOptions(remote, { signal: leaving.signal })).hold();
    for (const service of started) await service.expect("holding 1");
    const newcomer = await startService(runtime, target);
    await dies.killed();
    await eventually(() => ended === 1);
    await eventually(async () => (await services(target)).length === 3);
    leaving.abort("left");
    assertEquals(outcomes(await call), ["SERVER_DIED", "left", "left"]);
    await lives.expect("aborted CANCELLED");
    await stops.stopped();
    await longEnough(250, async (timeout) => {
      const answers = outcomes(await everywhere(withOptions(remote, { timeout })).pid());
      const late = answers.filter((answer) => answer === "TIMEOUT").length;
      assertEquals(answers.length, 3);
      assert(late >= 1, "a stopped one has answered");
      return late === 1;
    });
    stops.kill("SIGCONT");
    const pids = [stops, lives, newcomer].map(({ pid }) => pid);
    // The newcomer may have the place of the dead one.
    const found = outcomes(await everywhere(remote).pid()) as number[];
    assertEquals(found.sort(), pids.sort());
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: no target, no service, one and two`, async () => {
    const target = newTarget();
    const api = { pid: () => process.pid };
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    const all = everywhere(remote);
    assertEquals(await all.pid(), []);
    const one = serve(target, api);
    assertEquals(await all.pid(), fulfilled(process.pid));
    const two = serve(target, api);
    assertEquals(await all.pid(), fulfilled(process.pid, process.pid));
    await one.close();
    assertEquals(await all.pid(), fulfilled(process.pid));
    await two.close();
    assertEquals(await all.pid(), []);
  });

  test(`${title}: options, a bare function, and what it shares with its remote`, async () => {
    const target = newTarget();
    const api = () => callContext()!.timeRemaining;
    await using _one = serve(target, api);
    await using _two = serve(target, api);
    const remote = connect<typeof api>(target, { timeout: 60_000 });
    const hasty = withOptions(everywhere(remote), { timeout: 20_000 });
    for (const left of outcomes(await hasty()) as number[]) assert(left <= 20_000, `${left}`);
    hasty[Symbol.dispose]();
    assertEquals((await everywhere(hasty)()).length, 2);
    remote[Symbol.dispose]();
    await assertRejectsCode(hasty(), "CLOSED");
    assertThrows(() => everywhere({} as Disposable), TypeError, "remote");
  });

  test(`${title}: functions and signals go to every service, and to a certain one`, async () => {
    const target = newTarget();
    const api = {
      call: async (fn: (n: number) => number | Promise<number>) => await fn(1) + await fn(2),
      aborts: async (signal: AbortSignal) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return signal.reason as string;
      },
    };
    await using _one = serve(target, api);
    await using _two = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    const seen: number[] = [];
    const double = proxy((n: number) => {
      seen.push(n);
      return 2 * n;
    });
    assertEquals(await everywhere(remote).call(double), fulfilled(6, 6));
    assertEquals(await instance(remote, process.pid).call(double), 6);
    assertEquals(seen.sort(), [1, 1, 1, 2, 2, 2]);
    const stop = new AbortController();
    const aborted = everywhere(remote).aborts(stop.signal);
    stop.abort("stop");
    assertEquals(await aborted, fulfilled("stop", "stop"));
  });

  test(`${title}: arguments that cannot be sent, to all or to several`, async () => {
    const target = newTarget();
    const api = { sum: async (items: AsyncIterable<number>) => (await collect(items)).length };
    let hasBegun = false;
    async function* items(): AsyncGenerator<number> {
      hasBegun = true;
      yield 1;
    }
    await using _one = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 60_000 });
    const all = everywhere(remote);
    assertEquals(await all.sum(items()), fulfilled(1));
    const two = serve(target, api);
    hasBegun = false;
    await assertRejectsCode(all.sum(items()), "NOT_SERIALIZABLE", "several services");
    assertEquals(hasBegun, false);
    await two.close();
    const unsendable = (() => {}) as unknown as AsyncIterable<number>;
    await assertRejectsCode(all.sum(unsendable), "NOT_SERIALIZABLE");
    const thrown = new Error("of a getter");
    const throwing = Object.defineProperty([], 0, {
      enumerable: true,
      get: () => {
        throw thrown;
      },
    }) as unknown as AsyncIterable<number>;
    assertEquals(await rejection(all.sum(throwing)), thrown);
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: hooks and metadata of the connection apply to each call`, async () => {
    const target = newTarget();
    const api = { who: () => callContext()!.metadata.who };
    await using _one = serve(target, api);
    await using _two = serve(target, api);
    const seen: unknown[] = [];
    const outcomes: string[] = [];
    using remote = connect<typeof api>(target, {
      timeout: 60_000,
      onCall: ({ method, outcome }) => outcomes.push(`${method} ${outcome}`),
      around: (call, next) => {
        seen.push(call.metadata.who);
        call.metadata = { who: `${call.metadata.who}!` };
        return next();
      },
    });
    const asAnn = withOptions(remote, { metadata: { who: "Ann" } });
    assertEquals(await everywhere(asAnn).who(), fulfilled("Ann!", "Ann!"));
    assertEquals(await instance(asAnn, process.pid).who(), "Ann!");
    const asBob = withOptions(everywhere(remote), { metadata: { who: "Bob" } });
    assertEquals(await asBob.who(), fulfilled("Bob!", "Bob!"));
    assertEquals(seen, ["Ann", "Ann", "Ann", "Bob", "Bob"]);
    assertEquals(outcomes, new Array(5).fill("who ok"));
  });
}

test("many calls of all services, one after the other and at once, leave nothing behind", async () => {
  const { target } = await inEachRuntime();
  using remote = connect<Api>(target, { timeout: 60_000 });
  const all = everywhere(remote);
  for (let round = 0; round < 5; round++) {
    const calls = Array.from({ length: 50 }, (_, index) => all.add(index, 1));
    for (const [index, results] of (await Promise.all(calls)).entries()) {
      assertEquals(results, fulfilled(...ofEachRuntime(index + 1)));
    }
  }
  await eventually(async () =>
    (await services(target)).every(({ callsInProgress }) => callsInProgress === 0)
  );
});
