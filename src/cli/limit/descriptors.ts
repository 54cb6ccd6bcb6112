/**
 * The descriptors that this process has inherited: the lock of a limit around this one, sockets of a service
 * manager, pipes of a shell. Some runtimes mark them at their start, so that programs do not inherit them further.
 *
 * @module
 */
import { readdirSync, readlinkSync } from "node:fs";
import { bindC } from "../../runtime/c_library.ts";
import { backend } from "../../runtime/current.ts";

interface Descriptor {
  readonly fd: number;
  /** What it stands for, as the kernel names it. */
  readonly file: string;
}

/** Call it before this process has opened any. Those that runtimes open themselves are left out. */
export function inheritedDescriptors(): readonly number[] {
  if (!backend().marksInherited) return [];
  const all = openDescriptors();
  const standard = all.filter(({ fd }) => fd <= 2);
  const others = all.filter(({ fd }) => fd > 2);
  // Numbers are given from below. So a runtime's first one comes after those that were there, and one that comes
  // long after all others was there.
  const firstOwn = others.find(({ file }) => file === "anon_inode:[eventpoll]")?.fd ?? 0;
  const firstFar = others.find(({ fd }, index) => fd - (others[index - 1]?.fd ?? 2) > gap)?.fd ??
    Infinity;
  const counts = new Map<string, number>();
  for (const { file } of others) counts.set(file, (counts.get(file) ?? 0) + 1);
  const isOwn = ({ fd, file }: Descriptor) =>
    fd >= firstOwn && fd < firstFar && (
      /^(?:anon_inode|socket):/.test(file) || file === "/dev/null" ||
      // A copy of a standard stream, or both ends of a pipe.
      standard.some((stream) => stream.file === file) ||
      (file.startsWith("pipe:") && counts.get(file)! > 1)
    );
  return others.filter((descriptor) => !isOwn(descriptor)).map(({ fd }) => fd);
}

const gap = 16;

/** Lets the next program inherit them. */
export function passOn(descriptors: readonly number[]): void {
  if (descriptors.length === 0) return;
  const { fcntl } = bindC<{ fcntl(fd: number, command: number, value: number): number }>({
    fcntl: { parameters: ["i32", "i32", "i32"], result: "i32", cold: true },
  });
  for (const fd of descriptors) fcntl(fd, setDescriptorFlags, 0);
}

const setDescriptorFlags = 2; // F_SETFD

function openDescriptors(): Descriptor[] {
  return readdirSync("/proc/self/fd").map(Number).sort((a, b) => a - b).flatMap((fd) => {
    try {
      // The one that reads the folder is gone.
      return [{ fd, file: readlinkSync(`/proc/self/fd/${fd}`) }];
    } catch {
      return [];
    }
  });
}
