/**
 * Pipes in Bun's event loop. It reads every descriptor as a socket. When the other end of a pipe is gone, it reports
 * nothing, and spins. So it gets a descriptor of epoll that watches the pipe: that becomes readable then, and because
 * it is no socket, Bun fails to read it and reports a hang-up.
 *
 * @module
 */
import type { Backend } from "./backend.ts";
import { bindCWith } from "./c_library_binding.ts";

interface Epoll {
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: Uint8Array): number;
}

interface NodeFileSystem {
  closeSync(fd: number): void;
}

interface Global {
  readonly process: { getBuiltinModule(name: string): unknown };
}

const closeOnExec = 0x80000;
const add = 1;
const readable = 1;

let bound: Epoll | undefined;

function epollOf(backend: Backend): Epoll {
  return bound ??= bindCWith<Epoll>(backend, {
    epoll_create1: { parameters: ["i32"], result: "i32" },
    epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  });
}

/** A descriptor that becomes readable when the other end of a pipe is gone, as long as the pipe is open here. */
export function epollOver(pipe: number, backend: Backend): number {
  const { epoll_create1, epoll_ctl } = epollOf(backend);
  const epoll = epoll_create1(closeOnExec);
  if (epoll < 0) throw new Error("No file descriptor is left to watch a pipe");
  // On arm64 it has 16 bytes, on x86-64 only 12.
  const event = new Uint8Array(16);
  event[0] = readable;
  if (epoll_ctl(epoll, add, pipe, event) === 0) return epoll;
  closeDescriptor(epoll);
  throw new Error(`Bun cannot watch file descriptor ${pipe}`);
}

export function closeDescriptor(fd: number): void {
  const { process } = globalThis as unknown as Global;
  (process.getBuiltinModule("node:fs") as NodeFileSystem).closeSync(fd);
}
