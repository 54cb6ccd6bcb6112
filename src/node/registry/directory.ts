/**
 * The entries of all nodes by family and key. Of several with the same key, one shows.
 *
 * @module
 */
import type { Entry } from "./entry.ts";

export class Directory {
  /** Of each key all entries, the one that shows first. */
  readonly #families: Map<string, Map<string, Entry[]>> = new Map();
  readonly #touched: (family: string, key: string) => void;

  /** @param touched another entry of this key may show now */
  constructor(touched: (family: string, key: string) => void) {
    this.#touched = touched;
  }

  add(entry: Entry): void {
    const { family, key } = entry;
    let keys = this.#families.get(family);
    if (!keys) this.#families.set(family, keys = new Map());
    const entries = keys.get(key);
    if (!entries) keys.set(key, [entry]);
    else {
      const behind = entries.findIndex((other) => entry.precedes(other));
      entries.splice(behind < 0 ? entries.length : behind, 0, entry);
    }
    this.#touched(family, key);
  }

  remove(entry: Entry): void {
    const { family, key } = entry;
    const keys = this.#families.get(family);
    const entries = keys?.get(key);
    const at = entries?.indexOf(entry) ?? -1;
    if (at < 0) return;
    entries!.splice(at, 1);
    if (entries!.length === 0) keys!.delete(key);
    if (keys!.size === 0) this.#families.delete(family);
    this.#touched(family, key);
  }

  /** What others see of a key. */
  shown(family: string, key: string): Entry | undefined {
    return this.#families.get(family)?.get(key)?.[0];
  }

  *allShown(family: string): Iterable<Entry> {
    for (const [entry] of this.#families.get(family)?.values() ?? []) yield entry!;
  }

  /** When the last of the entries with this key was made; -1: there is none. */
  lastSince(family: string, key: string): number {
    const entries = this.#families.get(family)?.get(key) ?? [];
    return entries.reduce((last, { since }) => Math.max(last, since), -1);
  }

  /** How many keys there are, for tests. */
  get size(): number {
    let size = 0;
    for (const keys of this.#families.values()) size += keys.size;
    return size;
  }
}
