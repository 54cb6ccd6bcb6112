/**
 * Methods that get views of shared memory instead of copies.
 *
 * @module
 */
import { markRaw } from "./interface.ts";

/**
 * Marks a method that gets byte arrays of 1 KiB or more as views of shared memory, without a copy. A view
 * is valid until the method has returned, or its promise has settled. To keep bytes longer, `slice()`
 * them; never transfer a view's `buffer`. A byte array that the method returns is copied once, into the
 * answer, as usual.
 *
 * The method's own code may read such a view. It must not pass the view to a native function of the
 * runtime, such as `TextDecoder`, `Blob`, `Response`, `crypto`, `zlib` or `WebAssembly`: any
 * participant of the channel can change the bytes while that function reads them, which may crash the
 * process. Pass `bytes.slice()` there, or leave `raw` out: then the method gets a copy anyway. A typed
 * array other than a `Uint8Array`, or a `DataView`, is always a copy.
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
 * @param method the method to offer
 * @returns the same function
 */
// deno-lint-ignore no-explicit-any -- a method of any type
export function raw<Method extends (...args: any[]) => unknown>(method: Method): Method {
  markRaw(method);
  return method;
}
