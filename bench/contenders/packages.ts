/**
 * The packages that only contenders need. `scripts/setup --bench` installs them apart from the development
 * dependencies.
 *
 * @module
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const folder = new URL("../../.tools/bench/contenders/", import.meta.url);

/** The path of a file of these packages. */
export function installedPath(path: string): string {
  return fileURLToPath(new URL(path, folder));
}

/** Loads one of the packages. */
export function installed<Module>(name: string): Module {
  return createRequire(installedPath("package.json"))(name) as Module;
}
