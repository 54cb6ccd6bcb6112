/**
 * Values by slot.
 *
 * @module
 */

/**
 * A value for each slot that has one. An array without holes, so that a look is quick, and only as long
 * as the highest slot that was ever used, since low slots are used first.
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

  /** Of all slots up to the highest that was used. */
  values(): Iterable<T | undefined> {
    return this.#values;
  }

  clear(): void {
    this.#values.length = 0;
  }
}
