/**
 * Finds the transport of a target.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import { memory } from "./memory.ts";
import { sharedMemory } from "./shared_memory.ts";
import type { Transport } from "./transport.ts";

/** All other targets are names or paths; paths may contain colons. */
const scheme = /^(memory|nats):/;

/**
 * The transport that a target names.
 *
 * @param tried the operation, for the message of an error
 * @throws {TypeError} when the target is not a string
 * @throws {TandemError} `UNSUPPORTED` for a transport that this version of the package does not have
 */
export function transportOf(target: string, tried: string): Transport {
  if (typeof target !== "string") {
    throw new TypeError(`Cannot ${tried} ${describe(target)}: give a name or a path`);
  }
  const [, name] = scheme.exec(target) ?? [];
  if (name === undefined) return sharedMemory;
  if (name === "memory") return memory;
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot ${tried} ${JSON.stringify(target)}: this version of the package has no transport ` +
      `${name}:; give a name, a path (with ./ before it if it begins with ${name}:) or memory:NAME`,
  );
}
