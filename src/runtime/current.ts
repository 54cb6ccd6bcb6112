/**
 * Finds the backend of this runtime, once per thread, at first use.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { bun } from "./bun.ts";
import { deno } from "./deno.ts";
import { checkVersion, node } from "./node.ts";

interface Global {
  readonly process?: { readonly versions?: Readonly<Record<string, string | undefined>> };
}

let current: Backend | undefined;

/**
 * The backend of this runtime.
 *
 * @throws {TandemError} `UNSUPPORTED` in other runtimes than Deno, Bun and Node, and in older versions of Node
 */
export function backend(): Backend {
  return current ??= chooseBackend();
}

function chooseBackend(): Backend {
  if ("Bun" in globalThis) return bun;
  if ("Deno" in globalThis) return deno;
  // Last, because the others have this number as well.
  const { process } = globalThis as unknown as Global;
  const version = process?.versions?.["node"];
  if (version !== undefined) {
    checkVersion(version);
    return node;
  }
  throw new TandemError(
    "UNSUPPORTED",
    "Cannot use @tandem/ipc here: this is neither Deno, Bun nor Node; run the program in one of them",
  );
}
