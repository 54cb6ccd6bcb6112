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

/** What a contender can run in: Node, which only some of them need, is no runtime of the package. */
export type Host = Runtime | "node";

/** Program and arguments that run a module on a runtime. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** Bun has no permissions; in Deno the module gets `permissions` and never asks for more. */
export function commandFor(
  runtime: Host,
  module: URL,
  args: readonly string[],
  permissions: readonly string[],
): Command {
  const file = fileURLToPath(module);
  const program = programOf(runtime);
  if (runtime !== "deno") return { program, args: [file, ...args] };
  // The types were checked before; here they would only delay the start.
  const options = ["--quiet", "--no-check", "--no-prompt", ...permissions];
  return { program, args: ["run", ...options, file, ...args] };
}

/** The native side of the benchmarks, made by `zig build bench`. */
export const nativeProgram: string = fileURLToPath(
  new URL("../../zig-out/bin/tandem-bench", import.meta.url),
);

/** What `scripts/setup` installed, else what is on the PATH. */
export function programOf(host: Host): string {
  if (host === thisRuntime) return process.execPath;
  const installed = fileURLToPath(new URL(installedPrograms[host], import.meta.url));
  return existsSync(installed) ? installed : host;
}

const installedPrograms: Readonly<Record<Host, string>> = {
  bun: "../../.tools/bin/bun",
  deno: "../../.tools/bin/deno",
  node: "../../.tools/bench/bin/node",
};
