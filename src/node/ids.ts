/**
 * Ids of nodes and ports. A port's id is the id of its node, `#`, and its name there:
 * `images@4k2j9x0abc12#q8d02hzz.17`.
 *
 * @module
 */
import { describe } from "../base/checks.ts";

/**
 * The id of a port that takes the messages of the interface `P`. It is a plain string, so JSON, registries
 * and other languages can hold it, and any string can be used as one: then nothing is known of its interface.
 *
 * @typeParam P the interface: the tags are its methods
 */
// deno-lint-ignore no-explicit-any -- any interface
export type PortId<P = any> = string & { readonly "@tandem/ipc port"?: P };

const nodeIdForm = /^[A-Za-z0-9_.@:-]{1,128}$/;
const nodeNameForm = /^[A-Za-z0-9_.-]{1,64}$/;
const spawnedForm = /^[a-z0-9]{1,16}\.s[0-9]{1,15}$/;

/** An id in parts. */
export interface Address {
  readonly node: string;
  /** The port's name on its node; empty: the node itself. */
  readonly local: string;
}

/** The parts of an id. */
export function addressOf(id: string): Address {
  const at = id.indexOf("#");
  return at < 0 ? { node: id, local: "" } : { node: id.slice(0, at), local: id.slice(at + 1) };
}

export function portIdOf(node: string, local: string): string {
  return local === "" ? node : `${node}#${local}`;
}

/** @throws {TypeError} for anything that cannot be an id */
export function checkId(id: unknown, tried: string): asserts id is string {
  if (typeof id === "string" && id !== "" && id[0] !== "#") return;
  throw new TypeError(
    `Cannot ${tried} ${describe(id)}: give the id of a port or of a node, such as port.id`,
  );
}

/** @throws {TypeError} */
export function checkNodeId(id: unknown): asserts id is string {
  if (typeof id === "string" && nodeIdForm.test(id)) return;
  throw new TypeError(
    `Cannot use ${
      describe(id)
    } as the id of a node: give 1 to 128 of the characters A-Z a-z 0-9 _ . @ : -`,
  );
}

/** @throws {TypeError} */
export function checkNodeName(name: unknown): asserts name is string {
  if (typeof name === "string" && nodeNameForm.test(name)) return;
  throw new TypeError(
    `Cannot use ${
      describe(name)
    } as the name of a node: give 1 to 64 of the characters A-Z a-z 0-9 _ . -`,
  );
}

/** Whether another node may have chosen this name for a port that it spawns here. */
export function isSpawnedName(local: string): boolean {
  return spawnedForm.test(local);
}

const digits = "0123456789abcdefghijklmnopqrstuvwxyz";

/** So many random digits to the base 36. */
export function randomToken(length: number): string {
  let token = "";
  while (token.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      // 252 is a multiple of 36: no digit is more likely than another.
      if (byte < 252 && token.length < length) token += digits[byte % 36];
    }
  }
  return token;
}
