/**
 * Values by slot.
 *
 * @module
 */

/**
 * Values by slot. The array has no holes, so that access is quick. It is only as long as the highest slot
 * that was ever used requires, since low slots are used first.
 */
export class SlotTable<T> {
  readonly #values: (T | undefined)[] = [];

  get(slot: number): T | undefined {
    return this.#values[slot];
  }

  set(slot: number, value: T | undefined): void {
    const values = this.#values;
    while (values.length <= slot) values.push(undefined);
    values[slot] = value;
  }

  /** The values of all slots up to the highest that was used. */
  values(): Iterable<T | undefined> {
    return this.#values;
  }

  clear(): void {
    this.#values.length = 0;
  }
}
