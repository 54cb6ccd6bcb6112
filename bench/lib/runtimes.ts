/**
 * The runtimes of the benchmarks and how they run a module.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkout, runtimePath, toolCommand } from "../../scripts/tools.ts";
import { backend } from "../../src/runtime/current.ts";
import type { Command, RuntimeName } from "../../src/runtime/processes.ts";

/** A runtime that the package supports. */
export type Runtime = RuntimeName;

/** Every runtime, in the order of the tables. */
export const runtimes: readonly Runtime[] = ["bun", "deno"];

/** The runtime of this process. */
export const thisRuntime: Runtime = backend().name;

/** What a contender can run in. The package does not support Node, which some contenders need. */
export type Host = Runtime | "node";

/** The command that runs a module; Deno grants it `permissions` and never asks for more. */
export function hostCommand(
  host: Host,
  module: URL,
  args: readonly string[],
  permissions: readonly string[] = ["--allow-all"],
): Command {
  if (host === "node") return { program: nodePath, args: [fileURLToPath(module), ...args] };
  // CI checks the types. Here the check would delay the start.
  return toolCommand(host, module, args, ["--no-check", "--no-prompt", ...permissions]);
}

/** The native side of the benchmarks, made by `zig build bench`. */
export const nativeProgram: string = join(checkout, "zig-out/bin/tandem-bench");

/** The program that `scripts/setup` installed, else the one on PATH. */
export function programOf(host: Host): string {
  return host === "node" ? nodePath : runtimePath(host);
}

const installedNode = join(checkout, ".tools/bench/bin/node");
const nodePath = existsSync(installedNode) ? installedNode : "node";
