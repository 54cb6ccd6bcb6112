/**
 * A queue.
 *
 * @module
 */

/** As many items as were taken are forgotten at once. */
const compactMin = 64;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first; undefined: there is none. */
  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) this.clear();
    else if (this.#head >= compactMin && this.#head * 2 > this.#items.length) this.#compact();
    return item;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }

  /** Takes the first item for which `isWanted` returns true. An error of it passes through. */
  take(isWanted: (item: T) => boolean): T | undefined {
    // Code of users may change the queue meanwhile: what is gone is not taken.
    for (const item of this.#items.slice(this.#head) as T[]) {
      if (isWanted(item) && this.remove(item)) return item;
    }
    return undefined;
  }

  remove(item: T): boolean {
    const at = this.#items.indexOf(item, this.#head);
    if (at < 0) return false;
    this.#items.splice(at, 1);
    return true;
  }

  clear(): void {
    if (this.#items.length > 0) this.#items = [];
    this.#head = 0;
  }

  [Symbol.iterator](): Iterator<T> {
    return (this.#items.slice(this.#head) as T[])[Symbol.iterator]();
  }
}
