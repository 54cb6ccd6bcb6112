/**
 * Claims, and what their holders write down: the token, again and again while they hold a key. A token that comes after
 * a greater one was written by a second holder.
 *
 * @module
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Claim, Node } from "../../../src/node/main.ts";
import type { Random } from "../chaos/random.ts";
import { check } from "../pool/stage.ts";

const family = "locks";
const keys: readonly string[] = ["a", "b", "c"];

interface Holding {
  readonly claim: Claim;
  readonly key: string;
  /** How many looks it is held for. */
  left: number;
}

export class Claims {
  readonly #node: Node;
  readonly #notes: string;
  readonly #random: Random;
  #holding: Holding | null = null;

  constructor(node: Node, notes: string, random: Random) {
    this.#node = node;
    this.#notes = notes;
    this.#random = random;
  }

  /** Takes a claim, uses it, or gives it back. */
  async step(): Promise<void> {
    const holding = this.#holding;
    if (holding === null) {
      const key = this.#random.pick(keys);
      const claim = await this.#node.registry.claim(family, key, process.pid);
      if (claim === null) return;
      this.#holding = { claim, key, left: this.#random.between(0, 5) };
      this.#write();
    } else if (holding.left > 0) {
      holding.left -= 1;
      this.#write();
    } else this.release();
  }

  #write(): void {
    const { key, claim } = this.#holding!;
    appendFileSync(logOf(this.#notes, key), `${claim.token}\n`);
  }

  release(): void {
    if (this.#holding === null) return;
    this.#write();
    this.#holding.claim.release();
    this.#holding = null;
  }

  /** Claims all keys, none of which anybody has. Then no file is left of those who were killed. */
  static async all(node: Node, { notes }: { readonly notes: string }): Promise<void> {
    for (const key of keys) {
      const claim = await node.registry.claim(family, key, null);
      check(claim !== null, `the key ${key} is held by a node that is not there`);
      appendFileSync(logOf(notes, key), `${claim.token}\n`);
      claim.release();
    }
  }
}

function logOf(notes: string, key: string): string {
  return join(notes, `claims-${key}`);
}

/** Looks whether a key has ever had two holders. Returns how many claims there were. */
export function auditClaims(notes: string): number {
  let claims = 0;
  for (const key of keys) {
    const log = logOf(notes, key);
    if (!existsSync(log)) continue;
    const tokens = readFileSync(log, "utf8").trim().split("\n").map(BigInt);
    tokens.forEach((token, at) => {
      const isLater = at === 0 || token >= tokens[at - 1]!;
      check(isLater, `the key ${key} had two holders: ${token} comes after ${tokens[at - 1]}`);
    });
    claims += new Set(tokens).size;
  }
  return claims;
}
