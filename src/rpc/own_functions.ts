/**
 * Finds functions of this process that come back to it.
 *
 * @module
 */

const functions: Map<number, object> = new Map();

/** Keys that are not given out yet: taking them one by one costs as much as taking many. */
const spare: Uint32Array<ArrayBuffer> = new Uint32Array(256);
let spareLeft = 0;

/** A secret number for a function that is lent: who knows the key has received the function. */
function newKey(): number {
  if (spareLeft === 0) {
    crypto.getRandomValues(spare);
    spareLeft = spare.length;
  }
  spareLeft -= 2;
  return (spare[spareLeft]! & 0x1fffff) * 2 ** 32 + spare[spareLeft + 1]!;
}

/** From now on, `value` is found under the returned key. */
export function keepFunction(value: object): number {
  const key = newKey();
  functions.set(key, value);
  return key;
}

/** The function is lent no longer. */
export function forgetFunction(key: number): void {
  functions.delete(key);
}

/** The function of this process with that key; null: it is another process's, or lent no longer. */
export function ownFunction(key: number): object | null {
  return functions.get(key) ?? null;
}
