/**
 * What waiters do while nothing happens: nothing. strace counts the system calls of all their threads.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Limit } from "../../../src/limit/main.ts";
import { processState } from "../../support/processes.ts";
import type { Form } from "../../fixtures/limit/commands.ts";
import { runtimes } from "../talker.ts";
import { check, pause, type Rig, until } from "./rig.ts";

/** System calls and processor time of one waiter. */
export interface Idleness {
  readonly title: string;
  /** By their names. */
  readonly calls: Readonly<Record<string, number>>;
  readonly cpuMilliseconds: number;
}

/** One waiter of each runtime and form, behind `others` waiters. */
export async function watchIdle(rig: Rig, others: number, seconds: number): Promise<Idleness[]> {
  const target = join(rig.folder, `idle-${others}.limit`);
  using holder = new Limit(target);
  const lock = holder.tryAcquire();
  check(lock !== null, "the place is free");
  const crowd = await rig.contender("bun", quiet);
  for (let other = 0; other < others; other++) {
    await crowd.open(target, {}, `${other}`);
    void crowd.acquire({}, "promise", `${other}`);
  }
  await until(() => holder.waiters().length === others, "the others wait");
  const waiters = [];
  for (const runtime of runtimes) {
    for (const form of ["promise", "sync"] as readonly Form[]) {
      const contender = await rig.contender(runtime, quiet);
      await contender.open(target);
      waiters.push({ title: `${runtime}, ${form}`, contender, waits: contender.acquire({}, form) });
      await until(() => holder.waiters().length === others + waiters.length, "it waits");
    }
  }
  // Runtimes collect garbage and end idle threads of their own for a while.
  await pause(rig.size(45_000, 4_000));
  const found = await Promise.all(waiters.map(async ({ title, contender: { pid } }) => {
    const before = processState(pid).cpuMilliseconds;
    const calls = await traceCalls(pid, join(rig.folder, `${pid}.trace`), seconds);
    return { title, calls, cpuMilliseconds: processState(pid).cpuMilliseconds - before };
  }));
  // They were waiting, and are served as soon as there is a place.
  lock.release();
  crowd.child.kill("SIGKILL");
  for (const { waits, contender } of waiters) {
    check((await waits).id === 1, "it is served");
    await contender.tell({ do: "close" });
  }
  return found;
}

/** Bun collects garbage by a timer. */
const quiet = { BUN_GC_TIMER_DISABLE: "1" };

async function traceCalls(
  pid: number,
  file: string,
  seconds: number,
): Promise<Record<string, number>> {
  const strace = spawn("strace", ["-f", "-qq", "-o", file, "-p", String(pid)], {
    stdio: "inherit",
  });
  const ended = new Promise((resolve) => strace.once("close", resolve));
  await pause(500 + seconds * 1000);
  strace.kill("SIGINT");
  await ended;
  return countCalls(readFileSync(file, "utf8"));
}

/** Calls that have ended. Those that were under way when strace came are resumed without an end. */
export function countCalls(trace: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of trace.split("\n")) {
    const name = /^\d+\s+(?:<\.\.\. )?(\w+)\b.*\)\s+= /.exec(line)?.[1];
    if (name === undefined) continue;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
