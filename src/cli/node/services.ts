/**
 * The services that `tandem node run` was told to run.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { TandemError } from "@tandem/ipc";
import { nodeTerms } from "../../node/options.ts";
import type { RunFlags } from "./flags.ts";

/** A module that gets a node. */
export interface Service {
  /** The name of its node. */
  readonly name: string;
  /** The address of the module. */
  readonly module: string;
}

/**
 * The services, with names that tell them apart.
 *
 * @throws {TypeError}
 * @throws {TandemError} `NOT_FOUND`: there is no such file
 */
export function servicesOf({ service: modules, name: names = [], group }: RunFlags): Service[] {
  if (names.length > modules.length) {
    throw new TypeError(
      `Cannot name ${modules.length} services with ${names.length} names: give at most one --name for each --service`,
    );
  }
  const services = modules.map((module, index) => ({
    name: names[index] ?? nameOf(module),
    module: addressOf(module),
  }));
  for (const { name } of services) {
    nodeTerms({ name, group });
    if (services.filter((other) => other.name === name).length === 1) continue;
    throw new TypeError(
      `Cannot run two services that are named ${name}: give a --name for each of them, in their order`,
    );
  }
  return services;
}

/** `src/chat.service.ts` is `chat.service`. */
function nameOf(module: string): string {
  const name = basename(module).replace(/\.[cm]?[jt]sx?$/, "").replaceAll(/[^A-Za-z0-9_.-]/g, "-");
  return name.slice(0, 64) || "service";
}

function addressOf(module: string): string {
  const isUrl = /^(?:file|https?|jsr|npm|data):/.test(module);
  const address = isUrl ? module : pathToFileURL(resolve(module)).href;
  if (!address.startsWith("file:") || existsSync(fileURLToPath(address))) return address;
  throw new TandemError(
    "NOT_FOUND",
    `Cannot run ${fileURLToPath(address)}: there is no such file, or user ${
      process.geteuid!()
    } may not read it; ` +
      "give the path of the module after --service",
  );
}
