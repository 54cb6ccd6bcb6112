/**
 * What waiters do while nothing happens: no more than a process of the same runtime that listens to a silent socket,
 * which Bun wakes up for once a second. strace sees the system calls of all threads.
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

/** System calls and processor time of one process, while it was watched. */
export interface Idleness {
  readonly title: string;
  readonly form: Form | "socket";
  /** By the thread that runs JavaScript. */
  readonly main: number;
  /** By the runtime's other threads. */
  readonly others: number;
  readonly cpuMilliseconds: number;
}

/** Of each runtime, one waiter of each form behind `others` waiters, and before them what listens to a socket. */
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
  const idlers: { title: string; form: Idleness["form"]; pid: number }[] = [];
  const ends: (() => Promise<void>)[] = [];
  for (const runtime of runtimes) {
    const { pid } = await rig.listener(runtime, join(rig.folder, `${runtime}-${others}`), quiet);
    idlers.push({ title: `${runtime}, socket`, form: "socket", pid });
    for (const form of ["promise", "sync"] as const) {
      const contender = await rig.contender(runtime, quiet);
      await contender.open(target);
      const waits = contender.acquire({}, form);
      idlers.push({ title: `${runtime}, ${form}`, form, pid: contender.pid });
      await until(() => holder.waiters().length === others + ends.length + 1, "it waits");
      ends.push(async () => {
        check((await waits).id === 1, "it is served");
        await contender.tell({ do: "close" });
      });
    }
  }
  // Runtimes collect garbage and end idle threads of their own for a while.
  await pause(rig.size(60_000, 4_000));
  const found = await Promise.all(idlers.map(async ({ pid, ...idler }) => {
    const before = processState(pid).cpuMilliseconds;
    const calls = await traceCalls(pid, join(rig.folder, `${pid}.trace`), seconds);
    return { ...idler, ...calls, cpuMilliseconds: processState(pid).cpuMilliseconds - before };
  }));
  // They were waiting, and are served in their order as soon as there is a place.
  lock.release();
  crowd.child.kill("SIGKILL");
  for (const end of ends) await end();
  return found;
}

/** Bun collects garbage by a timer. */
const quiet = { BUN_GC_TIMER_DISABLE: "1" };

async function traceCalls(
  pid: number,
  file: string,
  seconds: number,
): Promise<Pick<Idleness, "main" | "others">> {
  const strace = spawn("strace", ["-f", "-qq", "-o", file, "-p", `${pid}`], { stdio: "inherit" });
  const ended = new Promise((resolve) => strace.once("close", resolve));
  await pause(500 + seconds * 1000);
  strace.kill("SIGINT");
  await ended;
  return countCalls(readFileSync(file, "utf8"), pid);
}

/** Calls that have begun, without those that were under way when strace came. */
function countCalls(trace: string, pid: number): Pick<Idleness, "main" | "others"> {
  const threads = new Set<string>();
  let main = 0;
  let others = 0;
  for (const line of trace.split("\n")) {
    const [, thread, rest] = /^(\d+)\s+(\w.*)$/.exec(line) ?? [];
    if (thread === undefined || rest === undefined) continue;
    // The first line of a thread is the call that it was in.
    const isFirst = !threads.has(thread);
    threads.add(thread);
    if (isFirst || rest.startsWith("+++")) continue;
    if (Number(thread) === pid) main += 1;
    else others += 1;
  }
  return { main, others };
}
