/**
 * Methods that take bytes where they lie.
 *
 * @module
 */
import { markRaw } from "./interface.ts";

/**
 * Marks a method whose byte arrays are not copied out of shared memory: of those that have 1 KiB or
 * more it gets views, which are valid until it has returned, or its promise has settled. `slice()`
 * what is to be kept, and never transfer a `buffer`. A byte array that it returns is copied once, into
 * the answer, as always.
 *
 * The method's own code may read such a view. It must not pass the view to a native function of the
 * runtime, such as `TextDecoder`, `Blob`, `Response`, `crypto`, `zlib` or `WebAssembly`: any
 * participant of the channel can change the bytes while that function reads them, which may crash the
 * process. Pass `bytes.slice()` there, or leave `raw` out: then the method gets a copy anyway. Typed
 * arrays other than `Uint8Array` and a `DataView` are always copies.
 *
 * @example
 * ```ts
 * import { connect, raw, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const api = {
 *   sum: raw((bytes: Uint8Array) => bytes.reduce((sum, byte) => sum + byte, 0)),
 * };
 *
 * await using service = serve("sums", api);
 * using remote = connect<typeof api>("sums", { timeout: 1_000 });
 * assertEquals(await remote.sum(new Uint8Array(10_000).fill(2)), 20_000);
 * service.unlink();
 * ```
 *
 * @param method what is to be offered
 * @returns the same function
 */
// deno-lint-ignore no-explicit-any -- a method of any type
export function raw<Method extends (...args: any[]) => unknown>(method: Method): Method {
  markRaw(method);
  return method;
}
