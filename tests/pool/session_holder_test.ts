/**
 * The holder's half of sessions: queue, errors, streams, ends. A service of this process stands for the worker,
 * so that each test sees what the worker is told, and when.
 */
import { assert, assertEquals, assertMatch, assertStrictEquals } from "@std/assert";
import process from "node:process";
import { callContext, serve, type TandemError, withOptions } from "../../mod.ts";
import { reserved } from "../../src/pool/link/control.ts";
import type { SessionOptions } from "../../src/pool/options.ts";
import { checkOut } from "../../src/pool/session/check_out.ts";
import type { Session } from "../../src/pool/session/session.ts";
import type { SessionHome } from "../../src/pool/session/session_home.ts";
import { SessionLogs } from "../../src/pool/session/session_logs.ts";
import type { LogRecord, WorkerExit } from "../../src/pool/types.ts";
import { Connection } from "../../src/rpc/connection.ts";
import { parseConnectOptions } from "../../src/rpc/terms.ts";
import { collectGarbage } from "../fixtures/lib.ts";
import {
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  longEnough,
  newTarget,
  sleep,
  test,
} from "../support/harness.ts";

/** What the worker was told. */
interface Told {
  readonly ids: string[];
  readonly checkedOut: unknown[];
  readonly checkedIn: unknown[];
  readonly ended: unknown[];
}

const record: LogRecord = {
  level: "info",
  message: "",
  properties: {},
  time: 0,
  worker: 7,
  call: null,
  timers: [],
};

class Steps {
  readonly done: string[] = [];
  /** Calls of `wait` go on when the test says so. */
  goOn: (value: string) => void = () => {};

  note(step: string): string {
    this.done.push(step);
    return step;
  }

  wait(step: string): Promise<string> {
    this.done.push(step);
    const { signal } = callContext()!;
    return new Promise((resolve, reject) => {
      this.goOn = resolve;
      const abort = () => {
        this.done.push(`aborted ${step}`);
        reject(signal.reason);
      };
      if (signal.aborted) abort();
      else signal.addEventListener("abort", abort);
    });
  }

  fail(step: string): never {
    this.done.push(step);
    throw new RangeError(step);
  }

  async *rows(count: number): AsyncGenerator<number> {
    try {
      for (let row = 1; row <= count; row++) yield row;
      if (count === 0) throw new RangeError("no rows");
    } finally {
      this.done.push("rows over");
    }
  }

  lines(): ReadableStream<string> {
    return new ReadableStream({
      start: (controller) => {
        for (const line of ["one", "two"]) controller.enqueue(line);
        controller.close();
      },
    });
  }

  sum(numbers: Uint8Array): number {
    return numbers.reduce((sum, number) => sum + number, 0);
  }

  async size(blob: Blob): Promise<number> {
    this.done.push("size");
    return (await blob.arrayBuffer()).byteLength;
  }
}

/** A worker, and the pool that it belongs to. */
interface Stage {
  readonly steps: Steps;
  readonly told: Told;
  readonly home: SessionHome;
  readonly connection: Connection;
  readonly logs: SessionLogs;
  checkOut(options?: SessionOptions): Promise<Session<Steps>>;
  /** The worker dies, as far as its service goes. */
  die(): Promise<void>;
}

/** @param lateBy so many milliseconds after it has begun to count the hold, the worker says so */
function stage(exit?: WorkerExit, lateBy = 0): Stage {
  const target = newTarget();
  const told: Told = { ids: [], checkedOut: [], checkedIn: [], ended: [] };
  const steps = new Steps();
  let free = Promise.resolve();
  const api = Object.assign(steps, {
    async *[reserved.checkout](id: string, terms: unknown) {
      const before = free;
      const { promise, resolve } = Promise.withResolvers<void>();
      free = promise;
      await before;
      told.checkedOut.push(terms);
      told.ids.push(id);
      logs.held(7, id);
      try {
        const since = Date.now();
        while (Date.now() - since < lateBy) await sleep(10);
        yield { number: 7, pid: process.pid, since };
        await new Promise(() => {});
      } finally {
        told.ended.push(id);
        resolve();
      }
    },
    [reserved.checkin](_id: string, hadError: boolean) {
      told.checkedIn.push(hadError);
    },
  });
  const service = serve(target, api);
  const connection = new Connection(target, parseConnectOptions({}));
  const logs = new SessionLogs();
  const home: SessionHome = {
    connection,
    timeout: 30_000,
    call: (...call) => connection.call(...call),
    exitOfProcess: () => Promise.resolve(exit),
    onSessionLog: (session, listener) => logs.add(session, listener),
  };
  atEnd(async () => {
    connection.close();
    service.unlink();
    await service.close({ timeout: 0 });
  });
  return {
    steps,
    told,
    home,
    connection,
    logs,
    checkOut: (options) => checkOut<Steps>(home, options),
    die: () => service.close({ timeout: 0 }),
  };
}

test("calls run one at a time, in the order in which they were made", async () => {
  const { steps, told, checkOut } = stage();
  const session = await checkOut();
  assertEquals(session.worker, { number: 7, pid: process.pid });
  const waiting = session.call.wait("first");
  const later = [session.call.note("second"), session.call.note("third")];
  await eventually(() => steps.done.length === 1, "the first call runs");
  steps.goOn("went on");
  assertEquals(await waiting, "went on");
  assertEquals(await Promise.all(later), ["second", "third"]);
  assertEquals(steps.done, ["first", "second", "third"]);
  await session.close();
  assertEquals([told.checkedIn, told.checkedOut.length], [[false], 1]);
  await assertRejectsCode(session.call.note("late"), "CLOSED", "check out another");
  await session.close();
  assertEquals(told.checkedIn, [false]);
});

test("a call that waits sends the arguments that it was made with", async () => {
  const { steps, checkOut } = stage();
  await using session = await checkOut();
  const waiting = session.call.wait("first");
  const bytes = new Uint8Array([1, 2, 3]);
  const sum = session.call.sum(bytes);
  bytes.fill(100);
  // Blobs are read first; the next call waits for them nevertheless.
  const size = session.call.size(new Blob(["12345"]));
  const after = session.call.note("after");
  await eventually(() => steps.done.length === 1, "the first call runs");
  steps.goOn("");
  await waiting;
  assertEquals([await sum, await size, await after], [6, 5, "after"]);
  assertEquals(steps.done, ["first", "size", "after"]);
});

test("an error clears the rest of the queue, and calls after the error run", async () => {
  const { steps, told, checkOut } = stage();
  {
    await using session = await checkOut({ name: "import" });
    const failing = doomed(session.call.fail("broken"));
    const cleared = [session.call.note("never"), session.call.note("never")];
    const first = await assertRejectsCode(failing, "REMOTE", "broken");
    for (const call of cleared) {
      const error = await assertRejectsCode(call, "CANCELLED", '"import"', 'method "note"');
      assertStrictEquals(error.cause, first);
    }
    assertEquals(await session.call.note("rollback"), "rollback");
    assertEquals(steps.done, ["broken", "rollback"]);
  }
  assertEquals(told.checkedIn, [true]);
});

test("cleared calls that the program does not look at are no unhandled rejections", async () => {
  const { checkOut } = stage();
  await using session = await checkOut();
  const failing = doomed(session.call.fail("broken"));
  void session.call.note("never");
  await assertRejectsCode(failing, "REMOTE");
  // A runtime reports an unhandled rejection by then.
  await sleep(20);
});

test("abort rejects the call in progress and all others with that very error", async () => {
  const { steps, told, checkOut } = stage();
  const session = await checkOut({ afterError: "keep" });
  const running = doomed(session.call.wait("first"));
  const waiting = doomed(session.call.note("never"));
  await eventually(() => steps.done.length === 1, "the first call runs");
  const reason = new Error("enough");
  session.abort(reason);
  session.abort(new Error("too late"));
  const later = session.call.note("never");
  for (const call of [running, waiting, later]) {
    assertStrictEquals(await call.then(() => null, (error) => error), reason);
  }
  await session.close();
  await eventually(() => told.ended.length === 1, "the worker is released");
  assertEquals([told.checkedIn, steps.done], [[], ["first", "aborted first"]]);
});

test("a signal aborts the session, and ends the wait for a worker", async () => {
  const { told, checkOut } = stage();
  const stop = new AbortController();
  const session = await checkOut({ signal: stop.signal });
  const other = doomed(checkOut({ signal: stop.signal }));
  await sleep(5);
  const reason = new Error("stop");
  stop.abort(reason);
  assertStrictEquals(await other.then(() => null, (error) => error), reason);
  assertStrictEquals(await session.call.note("").then(() => null, (error) => error), reason);
  assertEquals(told.checkedIn, []);
  // The one that waited does not keep the worker.
  await (await checkOut()).close();
});

test("a session without an error passed to abort rejects with CANCELLED", async () => {
  const { checkOut } = stage();
  const session = await checkOut();
  session.abort();
  await assertRejectsCode(session.call.note(""), "CANCELLED", "abort()");
});

test("no worker in time: TIMEOUT, and the wait leaves nothing behind", async () => {
  const { told, checkOut } = stage();
  const first = await checkOut();
  const error = await assertRejectsCode(checkOut({ timeout: 30 }), "TIMEOUT", "within 30 ms");
  assertEquals((error.cause as TandemError).code, "TIMEOUT");
  await first.close();
  const next = await checkOut();
  assertEquals(await next.call.note("next"), "next");
  await next.close();
  assertEquals(told.checkedIn, [false, false]);
});

test("after maxHold, calls reject with CLOSED, also the one in progress", async () => {
  await longEnough(500, async (maxHold) => {
    const { steps, told, checkOut } = stage();
    const session = await checkOut({ maxHold });
    assertEquals(told.checkedOut, [{ maxHold, name: undefined, afterError: "replace" }]);
    const running = session.call.wait("long");
    await assertRejectsCode(running, "CLOSED", `${maxHold} ms`, 'method "wait"');
    await assertRejectsCode(session.call.note("late"), "CLOSED", 'method "note"');
    await eventually(() => told.ended.length === 1, "the worker is released");
    await session.close();
    // The call may have begun too late.
    if (steps.done.length === 0) return false;
    await eventually(() => steps.done.length === 2, "the call is aborted");
    assertEquals([told.checkedIn, steps.done], [[], ["long", "aborted long"]]);
    return true;
  });
});

test("maxHold counts from when the worker counts, not from when its holder hears of it", async () => {
  const maxHold = 200;
  const { steps, told, checkOut } = stage(undefined, maxHold);
  const session = await checkOut({ maxHold });
  await assertRejectsCode(session.call.note("late"), "CLOSED", `${maxHold} ms`, 'method "note"');
  assertEquals(steps.done, []);
  await eventually(() => told.ended.length === 1, "the worker is released");
  await session.close();
});

test("the timeout is that of each call, and of each wait in the queue", async () => {
  await longEnough(1_000, async (timeout) => {
    const { steps, checkOut } = stage();
    const session = await checkOut({ timeout });
    const slow = doomed(session.call.wait("slow"));
    const hasty = doomed(withOptions(session.call, { timeout: 10 }).note("hasty"));
    const behind = doomed(session.call.note("behind"));
    await assertRejectsCode(slow, "TIMEOUT");
    const error = await hasty.then(() => null, (error: TandemError) => error);
    // This process has stood still for the whole time.
    if (error?.code === "CANCELLED" || steps.done.length === 0) return false;
    await assertRejectsCode(hasty, "TIMEOUT", "calls before it");
    assertStrictEquals((await assertRejectsCode(behind, "CANCELLED")).cause, error);
    assertEquals(await session.call.note("after"), "after");
    assertEquals(steps.done, ["slow", "aborted slow", "after"]);
    await session.close();
    return true;
  });
});

test("a stream occupies the session until it ends or is left", async () => {
  const { steps, checkOut } = stage();
  await using session = await checkOut();
  const rows: number[] = [];
  const all = session.call.rows(3);
  const after = session.call.note("after");
  for await (const row of all) {
    rows.push(row);
    assertEquals(steps.done, []);
  }
  assertEquals([rows, await after, steps.done], [[1, 2, 3], "after", ["rows over", "after"]]);
  steps.done.length = 0;
  for await (const row of session.call.rows(3)) {
    void session.call.note("after");
    assertEquals([row, steps.done], [1, []]);
    break;
  }
  assertEquals(await session.call.note("last"), "last");
  assertEquals(steps.done, ["rows over", "after", "last"]);
  const lines: string[] = [];
  for await (const line of await session.call.lines()) lines.push(line);
  assertEquals(lines, ["one", "two"]);
  const reader = session.call.lines().getReader();
  assertEquals((await reader.read()).value, "one");
  const waiting = session.call.note("behind the reader");
  await reader.cancel();
  assertEquals(await waiting, "behind the reader");
});

test("an error in a stream clears the queue", async () => {
  const { steps, told, checkOut } = stage();
  const session = await checkOut();
  const failing = doomed(session.call.rows(0).next());
  const cleared = session.call.note("never");
  const error = await assertRejectsCode(failing, "REMOTE", "no rows");
  assertStrictEquals((await assertRejectsCode(cleared, "CANCELLED")).cause, error);
  assertEquals(await session.call.note("rollback"), "rollback");
  assertEquals(steps.done, ["rows over", "rollback"]);
  await session.close();
  assertEquals(told.checkedIn, [true]);
});

test("abort ends a stream, also between two items", async () => {
  const { checkOut } = stage();
  const session = await checkOut();
  const rows = session.call.rows(3);
  assertEquals((await rows.next()).value, 1);
  const reason = new Error("enough");
  session.abort(reason);
  assertStrictEquals(await rows.next().then(() => null, (error) => error), reason);
  await session.close();
});

test("close leaves a stream that nobody reads, after the timeout", async () => {
  await longEnough(1_000, async (timeout) => {
    const { steps, told, checkOut } = stage();
    let session: Session<Steps>;
    try {
      session = await checkOut({ timeout });
      const rows = session.call.rows(3);
      assertEquals((await rows.next()).value, 1);
    } catch (error) {
      // This process has stood still for the whole time.
      if ((error as { code?: string }).code !== "TIMEOUT") throw error;
      return false;
    }
    await session.close();
    assertEquals([steps.done, told.checkedIn], [["rows over"], [false]]);
    return true;
  });
});

test("close waits for the calls that were made, not for later ones", async () => {
  const { steps, told, checkOut } = stage();
  const session = await checkOut();
  const waiting = session.call.wait("first");
  const second = session.call.note("second");
  const closed = session.close();
  await assertRejectsCode(session.call.note("late"), "CLOSED");
  await eventually(() => steps.done.length === 1, "the first call runs");
  assertEquals(told.checkedIn, []);
  steps.goOn("");
  await closed;
  assertEquals([await waiting, await second, told.checkedIn], ["", "second", [false]]);
});

test("the worker dies: SERVER_DIED with its exit, for all later calls", async () => {
  const exit: WorkerExit = {
    number: 7,
    pid: process.pid,
    code: 3,
    signal: null,
    reason: "exit",
    stderr: "",
  };
  const { steps, checkOut, die } = stage(exit);
  const session = await checkOut();
  const running = doomed(session.call.wait("first"));
  const cleared = doomed(session.call.note("never"));
  await eventually(() => steps.done.length === 1, "the first call runs");
  await die();
  const error = await assertRejectsCode(running, "SERVER_DIED", "worker 7", 'method "wait"');
  assertEquals(error.cause, exit);
  assertStrictEquals((await assertRejectsCode(cleared, "CANCELLED")).cause, error);
  for (let count = 0; count < 2; count++) {
    const later = await assertRejectsCode(session.call.note(""), "SERVER_DIED", 'method "note"');
    assertEquals(later.cause, exit);
  }
  await session.close();
});

test("the pool closes: calls reject with CLOSED, and are no unhandled rejections", async () => {
  const { steps, checkOut, connection } = stage();
  const session = await checkOut();
  const running = doomed(session.call.wait("first"));
  void session.call.wait("never");
  await eventually(() => steps.done.length === 1, "the first call runs");
  connection.close();
  await assertRejectsCode(running, "CLOSED", "the pool is closed");
  await assertRejectsCode(session.call.note(""), "CLOSED", "the pool is closed");
  await session.close();
  await sleep(20);
});

test("a session that the program has forgotten is checked in", async () => {
  const { told, checkOut } = stage();
  // In a function of its own, so that nothing of it stays on the stack.
  const useAndForget = async () => {
    const session = await checkOut();
    assertEquals(await session.call.note("used"), "used");
  };
  await useAndForget();
  await eventually(() => {
    collect();
    return told.checkedIn.length === 1;
  }, "the session is collected");
  assertEquals(told.checkedIn, [false]);
});

test("a session whose calls are still used is not forgotten", async () => {
  const { told, steps, checkOut } = stage();
  const { call } = await checkOut();
  for (let round = 0; round < 5; round++) {
    collect();
    await sleep(5);
  }
  const running = call.wait("long");
  await eventually(() => steps.done.length === 1, "the call runs");
  assertEquals(told.checkedIn, []);
  steps.goOn("done");
  assertEquals(await running, "done");
});

test("onLog gets the session's own records, all of them before close has resolved", async () => {
  const { checkOut, logs, told } = stage();
  const seen: string[] = [];
  const session = await checkOut({
    onLog: ({ message }) => {
      seen.push(message);
      throw new Error("an error of onLog");
    },
  });
  const log = (message: string, id: string) => logs.logged({ ...record, message }, id);
  log("of another session", "another");
  log("own", told.ids[0]!);
  const closed = session.close();
  await eventually(() => told.checkedIn.length === 1, "the session is checked in");
  log("under way", told.ids[0]!);
  logs.held(7, null);
  await closed;
  log("too late", told.ids[0]!);
  assertEquals([seen, logs.isEmpty], [["own", "under way"], true]);
});

test("wrong options are refused", async () => {
  const { checkOut } = stage();
  const wrong: [SessionOptions, RegExp][] = [
    [{ timeout: -1 }, /timeout/],
    [{ maxHold: NaN }, /maxHold/],
    [{ afterError: "drop" as "keep" }, /afterError/],
    [{ name: 1 as unknown as string }, /name/],
    [{ signal: {} as AbortSignal }, /signal/],
    [{ onLog: 1 as unknown as () => void }, /onLog/],
  ];
  for (const [options, message] of wrong) {
    const error = await checkOut(options).then(() => null, (error) => error);
    assert(error instanceof TypeError || error instanceof RangeError);
    assertMatch(error.message, message);
  }
});

/** Deno has no function for it unless it is started with a flag: there, garbage makes the engine collect. */
function collect(): void {
  if ("Deno" in globalThis) Array.from({ length: 100 }, () => new Uint8Array(100_000));
  else collectGarbage();
}
