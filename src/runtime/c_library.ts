/**
 * The C library, for what not every runtime offers: users and groups, datagram sockets, locks of files.
 *
 * @module
 */
import type { Table } from "./backend.ts";
import { bindCWith } from "./c_library_binding.ts";
import { backend } from "./current.ts";

/** Binds functions of the C library. */
export function bindC<Functions>(table: Table): Functions {
  return bindCWith(backend(), table);
}

/** A text as C takes it. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
