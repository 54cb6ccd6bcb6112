/** Calls of a pool: who gets them, in which order, and how long they wait. */
import { assert, assertEquals } from "@std/assert";
import { RemoteError, withOptions } from "../../mod.ts";
import { collectGarbage } from "../fixtures/lib.ts";
import type { Api as Changing } from "../fixtures/pool/changing.ts";
import type { Api } from "../fixtures/pool/worker.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  longEnough,
  newTarget,
  runtime,
  sleep,
  test,
} from "../support/harness.ts";
import { exists, Journal, ModeFile, readyPool, workerFile } from "../support/pool.ts";
import { poolTest } from "../support/pool_ways.ts";
import { collect, rejection } from "../support/rpc_helper.ts";
import { Pool } from "../../src/pool/main.ts";

poolTest("calls before any worker is up: they are answered when there are workers", async (way) => {
  const { pool, remote } = way.start({ min: 1, max: 1 });
  assertEquals(pool.workers().filter(({ state }) => state !== "starting"), []);
  assertEquals(await Promise.all([remote.echo(1), remote.echo(2)]), [1, 2]);
});

poolTest("arguments, results and errors arrive as they do in any typed call", async (way) => {
  const { remote } = await way.ready(1);
  const value = {
    text: "𝇚 ünï",
    bytes: new Uint8Array([1, 2]),
    map: new Map([[1, [null]]]),
    big: 2n,
  };
  assertEquals(await remote.echo(value), value);
  const error = await rejection<RemoteError>(remote.fail("not today"));
  assert(error instanceof RemoteError);
  assertEquals([error.code, error.remoteName, error.remoteMessage], [
    "REMOTE",
    "RangeError",
    "not today",
  ]);
  assert(error.message.includes("fail"), error.message);
  const first: number[] = [];
  for await (const number of remote.naturals()) {
    if (first.push(number) === 3) break;
  }
  assertEquals(first, [1, 2, 3]);
  await assertRejectsCode(
    (remote as unknown as { nothing(): Promise<void> }).nothing(),
    "UNKNOWN_METHOD",
  );
});

test("a long argument and a long result travel in parts", async () => {
  const pool = await readyPool(1);
  const bytes = new Uint8Array(3_000_000).map((_, index) => index % 251);
  assertEquals(await pool.call.reverse(bytes), bytes.reverse());
});

poolTest("one worker: calls are served in the order in which they were made", async (way) => {
  const { remote } = await way.ready(1);
  const journal = new Journal();
  const names = Array.from({ length: 20 }, (_, index) => String(index));
  for (const name of names) journal.release(name);
  await Promise.all(names.map((name) => remote.hold(journal.path, name)));
  assertEquals(journal.lines, names.flatMap((name) => [`begin ${name}`, `end ${name}`]));
});

test("a hundred calls at once, five workers: each call is answered, and each worker takes part", async () => {
  const pool = await readyPool(5);
  const journal = new Journal();
  const calls = Array.from({ length: 100 }, () => pool.call.hold(journal.path, "a"));
  // The others could end all of them while one stands still.
  await eventually(() => journal.lines.length === 5, "each worker has a call");
  journal.release("a");
  const pids = await Promise.all(calls);
  assertEquals(new Set(pids), new Set(pool.workers().map(({ pid }) => pid)));
});

poolTest("concurrency: a worker has that many calls at once, and no more", async (way) => {
  const { remote } = await way.ready(1, { concurrency: 2 });
  const journal = new Journal();
  const calls = ["a", "b", "c"].map((name) => remote.hold(journal.path, name));
  await journal.has("begin b");
  journal.release("a");
  await journal.has("begin c");
  assertEquals(journal.lines, ["begin a", "begin b", "end a", "begin c"]);
  journal.release("b");
  journal.release("c");
  assertEquals(new Set(await Promise.all(calls)).size, 1);
});

poolTest(
  "a full queue: one more call is BUSY at once, and the waiting ones are served",
  async (way) => {
    const { remote } = await way.ready(1, { maxQueue: 2 });
    const journal = new Journal();
    const works = remote.hold(journal.path, "a");
    await journal.has("begin a");
    const waiting = [remote.echo(1), remote.echo(2)];
    for (let round = 0; round < 3; round++) await assertRejectsCode(remote.echo(3), "BUSY");
    assertEquals(journal.lines, ["begin a"]);
    journal.release("a");
    await works;
    assertEquals(await Promise.all(waiting), [1, 2]);
    assertEquals(await remote.echo(4), 4);
  },
);

poolTest(
  "maxQueue 0: a call that no worker can take is BUSY, also one that comes before there are workers",
  async (way) => {
    const { remote } = way.start({ min: 1, max: 1, maxQueue: 0 });
    const journal = new Journal();
    const works = remote.hold(journal.path, "a");
    await assertRejectsCode(remote.echo(1), "BUSY");
    await journal.has("begin a");
    await assertRejectsCode(remote.echo(1), "BUSY");
    journal.release("a");
    await works;
    assertEquals(await remote.echo(2), 2);
  },
);

test("maxQueuePerClient: one client's calls are BUSY, and another's are served", async () => {
  const target = newTarget();
  const pool = await readyPool(1, { target, maxQueuePerClient: 2 });
  const journal = new Journal();
  const works = pool.call.hold(journal.path, "a");
  await journal.has("begin a");
  const waiting = [pool.call.echo(1), pool.call.echo(2)];
  await assertRejectsCode(pool.call.echo(3), "BUSY");
  await using attached = Pool.attach<Api>(target);
  const others = [attached.call.echo(4), attached.call.echo(5)];
  await assertRejectsCode(pool.call.echo(6), "BUSY");
  journal.release("a");
  await works;
  assertEquals(await Promise.all([...waiting, ...others]), [1, 2, 4, 5]);
});

poolTest("the timeout covers the wait for a worker", async (way) => {
  const { pool, remote } = await way.ready(1);
  const journal = new Journal();
  const works = remote.hold(journal.path, "a");
  await journal.has("begin a");
  const late = withOptions(remote, { timeout: 50 });
  await assertRejectsCode(late.hold(journal.path, "never"), "TIMEOUT", "hold");
  // The time of a call from another machine begins when it arrives.
  await eventually(() => pool.stats().queued === 0, "the pool knows");
  journal.release("a");
  await works;
  // What has timed out is never begun.
  await remote.echo(0);
  assertEquals(journal.lines, ["begin a", "end a"]);
});

poolTest("the timeout covers the wait for a worker and the work together", async (way) => {
  const { remote } = await way.ready(1, { abortGrace: 20_000 });
  const journal = new Journal();
  await longEnough(300, async (timeout) => {
    const hasty = withOptions(remote, { timeout });
    const began = performance.now();
    const first = remote.sleep(timeout / 2);
    const second = doomed(hasty.obey(journal.path, "second"));
    await first;
    await assertRejectsCode(second, "TIMEOUT");
    assert(performance.now() - began >= timeout - 5, "it ended too early");
    return journal.lines.includes("begin second");
  });
  await journal.has("aborted second");
});

poolTest("the timeout covers the start of the first worker", async (way) => {
  const mode = new ModeFile("waits in setup");
  const options = { min: 1, max: 1, timeout: 1, env: mode.env };
  const { pool, remote } = way.start<Changing>(options, workerFile("changing.ts"));
  await assertRejectsCode(remote.version(), "TIMEOUT");
  mode.letGo();
  await pool.ready;
  assertEquals(await withOptions(remote, { timeout: 30_000 }).version(), "1");
});

test("a call that has timed out holds none of its arguments", async () => {
  const pool = await readyPool(1);
  const journal = new Journal();
  const references = await Promise.all([0, 1].map(async (index) => {
    const argument = { index };
    const call = withOptions(pool.call, { timeout: 30 }).obeyWith(journal.path, "a", argument);
    await assertRejectsCode(call, "TIMEOUT");
    return new WeakRef(argument);
  }));
  await eventually(async () => {
    collectGarbage();
    await sleep(5);
    return references.every((reference) => reference.deref() === undefined);
  }, "the arguments are collected");
  assertEquals(await pool.call.echo(1), 1);
}, { skip: runtime === "deno" ? "Deno collects only with a flag" : null });

poolTest("a worker that threw is kept: the next call is in the same process", async (way) => {
  const { remote } = await way.ready(1);
  const pid = await remote.pid();
  for (let round = 0; round < 3; round++) await assertRejectsCode(remote.fail("x"), "REMOTE");
  assertEquals(await remote.pid(), pid);
});

poolTest(
  'afterError "replace": the next call is in another process, and none fails',
  async (way) => {
    const { remote } = await way.ready(1, { afterError: "replace" });
    const pid = await remote.pid();
    const failed = doomed(remote.fail("x"));
    const next = Array.from({ length: 5 }, () => remote.pid());
    await assertRejectsCode(failed, "REMOTE");
    const pids = await Promise.all(next);
    assert(!pids.includes(pid), "the worker that threw has taken another call");
    assertEquals(new Set(pids).size, 1);
    await eventually(() => !exists(pid), "the worker that threw ends");
  },
);

test("a method that fails at once attracts no calls: the other worker has its share", async () => {
  // Without a rest it would take some nine of ten. So it does, too, if the other one stands still for a while.
  for (let attempt = 1;; attempt++) {
    const share = await shareOfFailures();
    if (share < 0.7) return;
    assert(attempt < 4, `${100 * share} % of the calls failed`);
  }
});

/** Of many calls, how many a worker takes that fails at once, beside another one. */
async function shareOfFailures(): Promise<number> {
  const pool = await readyPool(2);
  // They learn how long a call takes.
  await Promise.all(Array.from({ length: 40 }, () => pool.call.sleep(5)));
  const [bad, good] = pool.workers().map(({ pid }) => pid) as [number, number];
  const callers = Array.from({ length: 4 }, async () => {
    const outcomes: string[] = [];
    for (let round = 0; round < 50; round++) {
      try {
        await pool.call.failIn(bad, 5);
        outcomes.push("good");
      } catch {
        outcomes.push("bad");
      }
    }
    return outcomes;
  });
  const outcomes = (await Promise.all(callers)).flat();
  const failures = outcomes.filter((outcome) => outcome === "bad").length;
  assert(failures > 0, "the bad worker has had no call");
  assert(exists(good) && exists(bad));
  await pool.close();
  return failures / outcomes.length;
}

test("options that make no sense are refused when the pool is made", async () => {
  const file = new URL("file:///nothing.ts");
  const wrong: readonly [object, typeof TypeError | typeof RangeError][] = [
    [{ min: -1 }, RangeError],
    [{ min: 1.5 }, RangeError],
    [{ max: 0 }, RangeError],
    [{ min: 3, max: 2 }, RangeError],
    [{ minSpare: 3, maxSpare: 2 }, RangeError],
    [{ concurrency: 0 }, RangeError],
    [{ maxQueue: -1 }, RangeError],
    [{ maxQueue: Infinity }, RangeError],
    [{ timeout: -1 }, RangeError],
    [{ timeout: NaN }, RangeError],
    [{ abortGrace: -1 }, RangeError],
    [{ maxCalls: 0 }, RangeError],
    [{ maxDeliveries: 0 }, RangeError],
    [{ min: "2" }, TypeError],
    [{ runtime: "perl" }, TypeError],
    [{ runtime: [] }, TypeError],
    [{ afterError: "forget" }, TypeError],
    [{ idempotent: "echo" }, TypeError],
    [{ args: "x" }, TypeError],
  ];
  for (const [options, expected] of wrong) {
    let error: unknown;
    try {
      const pool = new Pool(file, options);
      pool.ready.catch(() => {});
      await pool.close();
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof expected, `${JSON.stringify(options)}: ${String(error)}`);
  }
});

poolTest("streams of several workers run side by side", async (way) => {
  const { remote } = await way.ready(2);
  const parts = await Promise.all([0, 1].map(() => collect(firstOf(remote.naturals(), 50))));
  assertEquals(parts.map((part) => part.length), [50, 50]);
});

async function* firstOf<T>(stream: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let left = count;
  for await (const item of stream) {
    yield item;
    if ((left -= 1) === 0) return;
  }
}
