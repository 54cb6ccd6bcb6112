/**
 * The runtimes of the benchmarks and how they run a module.
 *
 * @module
 */
import { join } from "node:path";
import { checkout, toolPath } from "../../scripts/tools.ts";
import { backend } from "../../src/runtime/current.ts";
import { type Command, runtimeCommand, type RuntimeName } from "../../src/runtime/processes.ts";

/** A runtime that the package supports. */
export type Runtime = RuntimeName;

/** Every runtime, in the order of the tables. */
export const runtimes: readonly Runtime[] = ["bun", "deno", "node"];

/** The runtime of this process. */
export const thisRuntime: Runtime = backend().name;

/** The command that runs a module; Deno grants it `permissions` and never asks for more. */
export function hostCommand(
  runtime: Runtime,
  module: URL,
  args: readonly string[],
  permissions: readonly string[] = ["--allow-all"],
): Command {
  return runtimeCommand(runtime, module, {
    args,
    // CI checks the types. Here the check would delay the start.
    runtimeArgs: runtime === "deno" ? ["--quiet", "--no-check", "--no-prompt", ...permissions] : [],
    candidates: [toolPath(runtime)],
  });
}

/** The native side of the benchmarks, made by `zig build bench`. */
export const nativeProgram: string = join(checkout, "zig-out/bin/tandem-bench");
