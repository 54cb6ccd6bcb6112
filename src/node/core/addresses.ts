/**
 * The parts of ids that a program uses again and again.
 *
 * @module
 */
import { type Address, addressOf, checkId } from "../ids.ts";

/** So many are kept. */
const addressesMax = 8192;

export class Addresses {
  readonly #known: Map<string, Address> = new Map();

  /**
   * The parts of an id that a program has given.
   *
   * @throws {TypeError} for what is no id
   */
  of(id: string, tried: string): Address {
    const known = this.#known.get(id);
    if (known) return known;
    checkId(id, tried);
    const address = addressOf(id);
    if (this.#known.size >= addressesMax) this.#known.clear();
    this.#known.set(id, address);
    return address;
  }
}
