/**
 * The entries of this node.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { placeOf } from "./board.ts";
import { boardEntriesMax, bytesOfHead } from "./bounds.ts";
import type { ClaimCore } from "./claim.ts";
import { costOf, type Entry } from "./entry.ts";

/** An entry, and what it depends on. */
export interface OwnEntry {
  readonly entry: Entry;
  /** The watch of its port's end. */
  readonly portWatch: Disposable | null;
  readonly claim: ClaimCore | null;
}

export class OwnEntries {
  readonly #maxBytes: number;
  readonly #entries: Map<string, OwnEntry> = new Map();
  #bytes = bytesOfHead;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(family: string, key: string): OwnEntry | undefined {
    return this.#entries.get(placeOf(family, key));
  }

  at(place: string): OwnEntry | undefined {
    return this.#entries.get(place);
  }

  all(): Iterable<OwnEntry> {
    return this.#entries.values();
  }

  /**
   * Whether there is room for an entry, in the place of the one that has its key.
   *
   * @throws {TandemError} `TOO_LARGE`
   */
  checkRoom(entry: Entry): void {
    const before = this.get(entry.family, entry.key);
    const bytes = this.#bytes + costOf(entry) - (before ? costOf(before.entry) : 0);
    if (bytes > this.#maxBytes) {
      throw tooLarge(entry, `all entries of a node may take ${this.#maxBytes} bytes`);
    }
    if (!before && this.size >= boardEntriesMax) {
      throw tooLarge(entry, `a node may have ${boardEntriesMax} entries`);
    }
  }

  /** Puts an entry in the place of the one that has its key. */
  put(own: OwnEntry): void {
    const { family, key } = own.entry;
    this.remove(family, key);
    this.#bytes += costOf(own.entry);
    this.#entries.set(placeOf(family, key), own);
  }

  remove(family: string, key: string): void {
    const place = placeOf(family, key);
    const before = this.#entries.get(place);
    if (!before) return;
    this.#bytes -= costOf(before.entry);
    this.#entries.delete(place);
    before.portWatch?.[Symbol.dispose]();
  }
}

function tooLarge({ family, key }: Entry, found: string): TandemError {
  return new TandemError(
    "TOO_LARGE",
    `Cannot add ${
      JSON.stringify(key)
    } to the family ${family}: ${found}; remove other entries, or let ` +
      "one entry name a port that knows them",
  );
}
