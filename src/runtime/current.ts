/**
 * Finds the backend of this runtime, once per thread, at first use.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { bun } from "./bun.ts";
import { deno } from "./deno.ts";

let current: Backend | undefined;

/**
 * The backend of this runtime.
 *
 * @throws {TandemError} `UNSUPPORTED` in other runtimes than Deno and Bun
 */
export function backend(): Backend {
  return current ??= chooseBackend();
}

function chooseBackend(): Backend {
  if ("Bun" in globalThis) return bun;
  if ("Deno" in globalThis) return deno;
  throw new TandemError("UNSUPPORTED", "@tandem/ipc runs in Deno and in Bun; this is neither");
}
