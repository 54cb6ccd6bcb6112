/**
 * Where the module is that a worker runs before its worker file.
 *
 * @module
 */
import type { RuntimeName } from "../../runtime/names.ts";

// The parts that are used, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    getBuiltinModule(name: "node:fs"): { existsSync(path: string): boolean };
  };
}

/** In the sources, and in the npm package, where it lies beside the entry. */
const candidates: readonly string[] = ["../worker/bootstrap.ts", "./pool-worker.js"];

/**
 * The path or address of the bootstrap module for a runtime; null: there is none, as in a bundle of the program.
 * Then the worker file does its work, when it calls `work()`.
 */
export function bootstrapFor(runtime: RuntimeName): string | null {
  const { process } = globalThis as unknown as Global;
  for (const name of candidates) {
    const url = new URL(name, import.meta.url);
    if (url.protocol !== "file:") {
      // Only Deno runs modules from the network, and their names are those of the sources.
      if (runtime === "deno" && name.endsWith(".ts")) return url.href;
      continue;
    }
    const path = decodeURIComponent(url.pathname);
    try {
      if (process.getBuiltinModule("node:fs").existsSync(path)) return path;
    } catch {
      // This process may not look.
    }
  }
  return null;
}
