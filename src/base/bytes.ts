/**
 * Byte arrays compared.
 *
 * @module
 */

/** Whether two arrays have the same bytes. */
export function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  const { length } = one;
  if (length !== other.length) return false;
  for (let index = 0; index < length; index++) {
    if (one[index] !== other[index]) return false;
  }
  return true;
}
