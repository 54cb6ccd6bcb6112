/**
 * The packages that only contenders need. They are installed apart from the development
 * dependencies, by `scripts/setup --bench`.
 *
 * @module
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const folder = new URL("../../.tools/bench/contenders/", import.meta.url);

/** Where a file of theirs is. */
export function installedPath(path: string): string {
  return fileURLToPath(new URL(path, folder));
}

/** Loads one of the packages. */
export function installed<Module>(name: string): Module {
  return createRequire(installedPath("package.json"))(name) as Module;
}
