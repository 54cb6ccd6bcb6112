/**
 * Finds the C library, for backends too, which cannot ask which runtime this is.
 *
 * @module
 */
import type { Backend, Table } from "./backend.ts";

/** Binds functions of the C library. */
export function bindCWith<Functions>(
  backend: Pick<Backend, "arch" | "bind">,
  table: Table,
): Functions {
  const { arch } = backend;
  const failures: unknown[] = [];
  // glibc; musl under its own name; musl's loader, which is the C library too.
  for (const name of ["libc.so.6", `libc.musl-${arch}.so.1`, `/lib/ld-musl-${arch}.so.1`]) {
    try {
      return backend.bind<Functions>(name, table);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, failures.map(String).join("; "));
}
