/**
 * What the kernel tells of a worker's process.
 *
 * @module
 */

// The parts that are used, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    getBuiltinModule(name: "node:fs"): {
      readFileSync(path: string, encoding: "latin1"): string;
    };
  };
}

const pageBytes = 4_096;

/** The text of a file of the kernel; empty if this process may not read it, or if it is not there. */
function textOf(path: string): string {
  try {
    const { process } = globalThis as unknown as Global;
    return process.getBuiltinModule("node:fs").readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** The memory that a process has in use, in bytes; 0 if that is not known. */
export function residentBytes(pid: number): number {
  const pages = Number(textOf(`/proc/${pid}/statm`).split(" ")[1]);
  return Number.isFinite(pages) ? pages * pageBytes : 0;
}

/**
 * The file in which the kernel counts the processes of a group that it has killed for lack of memory; empty if it does
 * not count them.
 */
export function memoryEvents(pid: number): string {
  const group = /^0::(.*)$/m.exec(textOf(`/proc/${pid}/cgroup`))?.[1];
  if (group === undefined) return "";
  const path = `/sys/fs/cgroup${group === "/" ? "" : group}/memory.events`;
  // Also where the groups of the first version count memory, there is one of the second version.
  return textOf(path) === "" ? "" : path;
}

/** How many processes of a group the kernel has killed for lack of memory. */
export function memoryKills(events: string): number {
  if (events === "") return 0;
  return Number(/^oom_kill (\d+)$/m.exec(textOf(events))?.[1] ?? 0);
}

/** How many processes the kernel has killed for lack of memory at all. */
export function allMemoryKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(textOf("/proc/vmstat"))?.[1] ?? 0);
}
