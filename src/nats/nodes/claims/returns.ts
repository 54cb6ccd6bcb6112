/**
 * Records of claims that a node does not have any more, until they are removed.
 *
 * @module
 */
import { codeOf, report } from "../../../base/guard.ts";
import type { ClaimStore } from "./claim_store.ts";

/** A record of which it is not known whether it was stored is looked for so often: it may still be on its way. */
const unsureLooks = 3;

export class Returns {
  readonly #store: ClaimStore;
  /** Where the records are, by the claims' ids, and how often to look for them. */
  readonly #left: Map<string, { readonly place: string; looks: number }> = new Map();
  #settling: Promise<void> = Promise.resolve();
  /** The next settling, which has not begun. */
  #next: Promise<void> | null = null;

  constructor(store: ClaimStore) {
    this.#store = store;
  }

  get size(): number {
    return this.#left.size;
  }

  /** @param isUnsure it is not known whether it was stored */
  add(id: string, place: string, isUnsure: boolean): void {
    this.#left.set(id, { place, looks: isUnsure ? unsureLooks : 1 });
  }

  /** Removes them. A removal that fails is tried again at the next call. Never rejects. */
  settle(): Promise<void> {
    this.#next ??= this.#settling.then(() => {
      this.#next = null;
      return this.#settle();
    });
    return this.#settling = this.#next;
  }

  async #settle(): Promise<void> {
    await Promise.all(Array.from(this.#left.keys(), (id) => this.#remove(id)));
  }

  async #remove(id: string): Promise<void> {
    const one = this.#left.get(id)!;
    try {
      // Numbers alone do not tell whose record it is: a bucket that was removed counts anew.
      const { record, sequence } = await this.#store.find(one.place);
      if (record?.id === id) await this.#store.remove(one.place, sequence);
      one.looks -= 1;
    } catch (error) {
      const code = codeOf(error);
      if (code === "DISCONNECTED") return;
      if (code === undefined) report(this, "giving back a claim", error);
      one.looks = 0;
    }
    if (one.looks === 0) this.#left.delete(id);
  }
}
