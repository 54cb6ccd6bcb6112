/**
 * Where libraries are, and files that hold them for a moment.
 *
 * @module
 */

/**
 * The path of a file that `zig build` makes, when the module of that URL is part of a checkout and of no
 * bundle; else null.
 *
 * @param url `import.meta.url`: undefined in a bundle that is no module
 * @param own the path of the module in the checkout, such as `/src/ffi/load.ts`
 */
export function checkoutPath(url: string | undefined, own: string, built: string): string | null {
  if (url === undefined) return null;
  const { protocol, pathname } = new URL(url);
  if (protocol !== "file:" || !pathname.endsWith(own)) return null;
  return `${decodeURIComponent(pathname.slice(0, -own.length))}/zig-out/lib/${built}`;
}

/**
 * The path of a file that the npm package has beside its code, when the module of that URL is part of an installed
 * package; else null. The folder of a bundle may be one in which others can write.
 */
export function packagePath(url: string | undefined, file: string): string | null {
  if (url === undefined) return null;
  const { protocol, pathname } = new URL(url);
  const folder = /^.*\/node_modules\/@tandem\/ipc\/dist\//.exec(pathname);
  return protocol === "file:" && folder ? decodeURIComponent(folder[0]) + file : null;
}

/**
 * The path of a descriptor in a spelling that is new to this process. glibc takes a path that it knows for
 * the library that it has loaded from there, and the system uses descriptor numbers again.
 */
export function descriptorPath(fd: number): string {
  const digits = Math.random().toFixed(8).slice(2);
  const spelling = Array.from(digits, (digit) => `${"/".repeat(Number(digit) + 1)}.`).join("");
  return `/proc/self/fd${spelling}/${fd}`;
}
