/**
 * Records of claims that a node does not have any more, until they are removed.
 *
 * @module
 */
import { codeOf, report } from "../../../base/guard.ts";
import type { ClaimStore } from "./claim_store.ts";

/** A record of which it is not known whether it was stored is looked for so often: it may still be on its way. */
const looks = 3;

export class Returns {
  readonly #store: ClaimStore;
  /** The numbers of records by their places. */
  readonly #known: Map<string, number> = new Map();
  /** Those of which only the claim's id is known. */
  readonly #unsure: Map<string, { readonly place: string; looks: number }> = new Map();
  #settling: Promise<void> = Promise.resolve();
  /** The next settling, which has not begun. */
  #next: Promise<void> | null = null;

  constructor(store: ClaimStore) {
    this.#store = store;
  }

  get size(): number {
    return this.#known.size + this.#unsure.size;
  }

  add(place: string, sequence: number): void {
    this.#known.set(place, sequence);
  }

  addUnsure(place: string, id: string): void {
    this.#unsure.set(id, { place, looks });
  }

  /** Removes them. What fails is tried again with the next call. Never rejects. */
  settle(): Promise<void> {
    this.#next ??= this.#settling.then(() => {
      this.#next = null;
      return this.#settle();
    });
    return this.#settling = this.#next;
  }

  async #settle(): Promise<void> {
    await Promise.all(Array.from(this.#known, (one) => this.#return(...one)));
    await Promise.all(Array.from(this.#unsure, ([id, { place }]) => this.#look(id, place)));
  }

  async #return(place: string, sequence: number): Promise<void> {
    try {
      await this.#store.remove(place, sequence);
    } catch (error) {
      if (!isFinal(error)) return;
    }
    // Another claim of the same key may have been given back meanwhile.
    if (this.#known.get(place) === sequence) this.#known.delete(place);
  }

  async #look(id: string, place: string): Promise<void> {
    const unsure = this.#unsure.get(id)!;
    try {
      const { record, sequence } = await this.#store.find(place);
      if (record?.id === id) await this.#store.remove(place, sequence);
      unsure.looks -= 1;
    } catch (error) {
      if (isFinal(error)) unsure.looks = 0;
    }
    if (unsure.looks === 0) this.#unsure.delete(id);
  }
}

/** Whether trying again would not help. */
function isFinal(error: unknown): boolean {
  const code = codeOf(error);
  if (code === "DISCONNECTED") return false;
  if (code === undefined) report(Returns, "giving back a claim", error);
  return true;
}
