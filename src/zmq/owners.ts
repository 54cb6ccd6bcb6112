/**
 * Whose an identity is: of the key that has used it first.
 *
 * @module
 */
import type { Connection } from "./connections.ts";

interface Owner {
  readonly key: string;
  connection: Connection;
  /** In the time of `performance.now()`. */
  lastHeard: number;
}

/** So many identities are known; then the one that was not heard for longest is free again. */
const ownersMax = 65_536;

export class Owners {
  readonly #keptFor: number;
  /** The identities, the one that was not heard for longest first. */
  readonly #owners: Map<string, Owner> = new Map();

  /** @param keptFor how long an identity stays its owner's after the last request, in milliseconds */
  constructor(keptFor: number) {
    this.#keptFor = keptFor;
  }

  /** Whether a request may come from this connection. */
  admits(connection: Connection, time: number): boolean {
    const { name, key, isNamed } = connection;
    if (!isNamed || key === undefined) return true;
    const owner = this.#owners.get(name);
    if (owner && owner.key !== key && this.#isKept(owner, time)) return false;
    this.#owners.delete(name);
    if (this.#owners.size >= ownersMax) this.#freeOldest();
    this.#owners.set(name, { key, connection, lastHeard: time });
    return true;
  }

  #isKept({ connection, lastHeard }: Owner, time: number): boolean {
    return !connection.isClosed || time - lastHeard < this.#keptFor;
  }

  #freeOldest(): void {
    for (const name of this.#owners.keys()) return void this.#owners.delete(name);
  }
}
