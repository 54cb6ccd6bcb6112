/**
 * The programs that `scripts/setup` installs into this checkout.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  type Command,
  findRuntime,
  runtimeCommand,
  type RuntimeName,
} from "../src/runtime/processes.ts";

/** The folder of this checkout. */
export const checkout: string = fileURLToPath(new URL("..", import.meta.url));

/** Flags with which Node finds what the other runtimes find by their configuration. */
export const nodeArgs: readonly string[] = ["--import", join(checkout, "scripts/node/hooks.mjs")];

/** The path of an installed program. */
export function toolPath(name: string): string {
  return join(checkout, ".tools/bin", name);
}

/** The binary of the runtime that runs this process, else the checkout's, else the first on PATH. */
export function runtimePath(runtime: RuntimeName): string {
  return findRuntime(runtime, [toolPath(runtime)]);
}

/** The command that runs a file in a runtime. `denoArgs` are the permissions and other flags in Deno. */
export function toolCommand(
  runtime: RuntimeName,
  file: string | URL,
  args: readonly string[] = [],
  denoArgs: readonly string[] = ["--allow-all"],
): Command {
  const program = runtime === "node" ? file : programOf(file);
  // Deno looks for it beside the program, and Workers of a bundle load modules of the checkout.
  const isPlain = program === file || denoArgs.includes("--no-config");
  const config = isPlain ? [] : [`--config=${join(checkout, "deno.json")}`];
  const runtimeArgs = {
    deno: ["--quiet", ...config, ...denoArgs],
    bun: [],
    node: nodeArgs,
  };
  return runtimeCommand(runtime, program, {
    args,
    runtimeArgs: runtimeArgs[runtime],
    candidates: [toolPath(runtime)],
  });
}

/**
 * What runs in place of a program of this checkout: its bundle, if TANDEM_TEST_PROGRAMS names a folder that
 * bundle.mjs has filled, else the file itself. Node finds the bundles by hooks.mjs.
 */
export function programOf(file: string): string;
export function programOf(file: string | URL): string | URL;
export function programOf(file: string | URL): string | URL {
  const programs = bundleFolder();
  if (!programs) return file;
  const path = file instanceof URL || file.startsWith("file:") ? fileURLToPath(file) : file;
  const bundle = join(programs, `${relative(checkout, path)}.mjs`);
  return existsSync(bundle) ? bundle : file;
}

/** Where the commands in the documents of the examples run. */
export function exampleProject(): string {
  const programs = bundleFolder();
  return programs ? join(programs, "project") : checkout;
}

/** Flags with which workers of pools find modules of this checkout, or their bundles. */
export function workerArgs(): Readonly<Record<RuntimeName, readonly string[]>> {
  const hasBundles = Boolean(bundleFolder());
  const project = exampleProject();
  return {
    deno: ["--quiet", "--allow-all", ...(hasBundles ? [`--config=${project}/deno.json`] : [])],
    bun: hasBundles ? [`--tsconfig-override=${project}/tsconfig.json`] : [],
    node: nodeArgs,
  };
}

/**
 * What bundle.mjs has filled; without it tests run the sources. Asked when it is needed: some programs that load this
 * module may not read their environment.
 */
function bundleFolder(): string | undefined {
  return process.env["TANDEM_TEST_PROGRAMS"];
}
