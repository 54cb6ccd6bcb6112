/**
 * What a process has used, from /proc.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/** What all threads of a process have used in some time. */
export interface Usage {
  /** User and system time in milliseconds, as /proc/PID/stat has it: in steps of 10. */
  readonly cpuMs: number;
  /** The same in milliseconds from the scheduler, exact; NaN where the kernel does not say. */
  readonly ranMs: number;
  /**
   * How often the first thread, which runs the JavaScript, went to sleep by itself: its wake-ups.
   */
  readonly wakeups: number;
  /** The same of all threads, those of the runtime's allocator, collector and pools among them. */
  readonly allWakeups: number;
}

/** What a process has used since it was started. */
interface Reading {
  readonly cpuMs: number;
  /** By thread: one that has ended takes its numbers with it. */
  readonly threads: ReadonlyMap<string, Thread>;
}

interface Thread {
  readonly ranMs: number;
  readonly voluntarySwitches: number;
}

const tickMs = 10; // USER_HZ is 100 on all architectures that are supported

/** Starts to watch a process; the result says what it has used since then. */
export function watchUsage(pid: number): () => Usage {
  const before = read(pid);
  return () => {
    const after = read(pid);
    let [ranMs, wakeups, allWakeups] = [0, 0, 0];
    for (const [id, thread] of after.threads) {
      const old = before.threads.get(id);
      ranMs += thread.ranMs - (old?.ranMs ?? 0);
      const switches = thread.voluntarySwitches - (old?.voluntarySwitches ?? 0);
      allWakeups += switches;
      if (id === `${pid}`) wakeups = switches;
    }
    return { cpuMs: after.cpuMs - before.cpuMs, ranMs, wakeups, allWakeups };
  };
}

function read(pid: number): Reading {
  // The name of the program may contain spaces and brackets; the fields follow the last bracket.
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  const threads = new Map<string, Thread>();
  // Switches and exact times of the process itself would be those of its first thread only.
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const directory = `/proc/${pid}/task/${id}`;
    threads.set(id, {
      ranMs: firstNumber(directory, "schedstat", /^(\d+)/) / 1e6,
      voluntarySwitches: firstNumber(directory, "status", /^voluntary_ctxt_switches:\s*(\d+)/m),
    });
  }
  return { cpuMs: (user + system) * tickMs, threads };
}

function firstNumber(directory: string, file: string, pattern: RegExp): number {
  try {
    return Number(pattern.exec(readFileSync(`${directory}/${file}`, "utf8"))?.[1] ?? NaN);
  } catch {
    return file === "schedstat" ? NaN : 0; // not in this kernel; the thread has ended just now
  }
}
