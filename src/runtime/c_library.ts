/**
 * The C library, for what not every runtime offers: users and groups, datagram sockets, locks of files.
 *
 * @module
 */
import type { Table } from "./backend.ts";
import { backend } from "./current.ts";

/** Binds functions of the C library. */
export function bindC<Functions>(table: Table): Functions {
  const { arch } = backend();
  const failures: unknown[] = [];
  // glibc; musl under its own name; musl's loader, which is the C library too.
  for (const name of ["libc.so.6", `libc.musl-${arch}.so.1`, `/lib/ld-musl-${arch}.so.1`]) {
    try {
      return backend().bind<Functions>(name, table);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, failures.map(String).join("; "));
}

/** A text as C takes it. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
