/**
 * Files as memory: a store survives the death of the process that made it.
 *
 * @module
 */
import type { Table } from "../../../src/runtime/backend.ts";
import { backend } from "../../../src/runtime/current.ts";

const symbols = {
  open: { parameters: ["buffer", "i32"], result: "i32", cold: true },
  close: { parameters: ["i32"], result: "i32", cold: true },
  mmap: {
    parameters: ["size", "size", "i32", "i32", "i32", "size"],
    result: "size",
    cold: true,
  },
} as const satisfies Table;

interface CLibrary {
  open(path: Uint8Array, flags: number): number;
  close(fd: number): number;
  mmap(
    address: bigint,
    byteLength: bigint,
    protection: number,
    flags: number,
    fd: number,
    offset: bigint,
  ): bigint;
}

const readWrite = 2; // O_RDWR
const closeOnExec = 0o2000000; // O_CLOEXEC
const readable = 1; // PROT_READ
const writable = 2; // PROT_WRITE
const shared = 1; // MAP_SHARED

let library: CLibrary | undefined;

/** The first `byteLength` bytes of a file, shared with every process that maps it. Stays mapped. */
export function mapFile(path: string, byteLength: number): ArrayBuffer {
  library ??= backend().bind<CLibrary>("libc.so.6", symbols);
  const fd = library.open(new TextEncoder().encode(`${path}\0`), readWrite | closeOnExec);
  if (fd < 0) throw new Error(`cannot open ${path}`);
  const size = BigInt(byteLength);
  const address = library.mmap(0n, size, readable | writable, shared, fd, 0n);
  library.close(fd);
  if (BigInt.asIntN(64, BigInt(address)) === -1n) throw new Error(`cannot map ${path}`);
  return backend().mapping(Number(address), byteLength);
}
