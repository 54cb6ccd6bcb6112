/**
 * Reads from /proc the processor time and the wake-ups of a process.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/** The usage of all threads of a process in a period of time. */
export interface Usage {
  /** User and system time in milliseconds, from /proc/PID/stat in steps of 10. */
  readonly cpuMs: number;
  /** The exact time in milliseconds, from the scheduler; NaN on kernels that do not report it. */
  readonly ranMs: number;
  /** How often the first thread, which runs the JavaScript, went to sleep by itself. */
  readonly wakeups: number;
  /** The same for all threads, including those of the runtime's allocator, collector and pools. */
  readonly allWakeups: number;
}

/** The usage of a process since its start. */
interface Reading {
  readonly cpuMs: number;
  /** The threads by id. A thread that ends takes its numbers with it. */
  readonly threads: ReadonlyMap<string, Thread>;
}

interface Thread {
  readonly ranMs: number;
  readonly voluntarySwitches: number;
}

const tickMs = 10; // USER_HZ is 100 on all supported architectures

/** Starts to watch a process. The returned function tells the usage since then. */
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
  // The files of the process itself describe only its first thread.
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
    return file === "schedstat" ? NaN : 0; // a kernel without it; a thread that has just ended
  }
}
