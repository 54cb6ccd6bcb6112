/**
 * The two runtimes and how to start them.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** A runtime that the package supports. */
export type Runtime = "bun" | "deno";

/** Both of them. */
export const runtimes: readonly Runtime[] = ["bun", "deno"];

/** The one that this process runs on. */
export const thisRuntime: Runtime = "Bun" in globalThis ? "bun" : "deno";

/** Program and arguments that run a module on a runtime. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** Bun has no permissions; in Deno the module gets `permissions` and never asks for more. */
export function commandFor(
  runtime: Runtime,
  module: URL,
  args: readonly string[],
  permissions: readonly string[],
): Command {
  const file = fileURLToPath(module);
  const program = programOf(runtime);
  if (runtime === "bun") return { program, args: [file, ...args] };
  // The types were checked before; here they would only delay the start.
  const options = ["--quiet", "--no-check", "--no-prompt", ...permissions];
  return { program, args: ["run", ...options, file, ...args] };
}

/** What `scripts/setup` installed, else what is on the PATH. */
function programOf(runtime: Runtime): string {
  if (runtime === thisRuntime) return process.execPath;
  const installed = fileURLToPath(new URL(`../../.tools/bin/${runtime}`, import.meta.url));
  return existsSync(installed) ? installed : runtime;
}
