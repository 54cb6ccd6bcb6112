/**
 * Keys whose hashes collide in V8's Map and Set. JavaScriptCore has other functions, with constants that
 * change from version to version.
 *
 * @module
 */

const wide = (1n << 64n) - 1n;

/** x with x ^ (x >> shift) = y */
function undoShiftRight(y: bigint, shift: bigint): bigint {
  let x = y;
  for (let known = shift; known < 64n; known += shift) x = y ^ (x >> shift);
  return x;
}

/** The factor that undoes multiplication by an odd number modulo 2^64. */
function inverse(factor: bigint): bigint {
  let x = factor;
  for (let step = 0; step < 6; step++) x = (x * (2n - factor * x)) & wide;
  return x & wide;
}

const [over65, over21, overShift] = [inverse(65n), inverse(21n), inverse((1n << 18n) - 1n)];

/** The word that V8's `ComputeLongHash` hashes to `hash`: each of its steps can be undone. */
function beforeLongHash(hash: bigint): bigint {
  let x = undoShiftRight(hash, 22n);
  // x + (x << 6)
  x = (x * over65) & wide;
  x = undoShiftRight(x, 11n);
  x = (x * over21) & wide;
  x = undoShiftRight(x, 31n);
  // ~x + (x << 18)
  return ((x + 1n) * overShift) & wide;
}

const words = new BigUint64Array(1);
const doubles = new Float64Array(words.buffer);

/** Different doubles, none of them a whole number, whose hashes of 30 bits are equal. */
export function collidingDoubles(count: number): number[] {
  const found: number[] = [];
  for (let high = 1n; found.length < count; high++) {
    words[0] = beforeLongHash((high << 30n) | 0x1234567n);
    const double = doubles[0]!;
    // Values that are no numbers, or that are stored as whole numbers, have other hashes.
    if (Number.isFinite(double) && !Number.isInteger(double)) found.push(double);
  }
  return found;
}

/** V8 hashes only the lowest 64 bits of a bigint. */
export function collidingBigints(count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => BigInt(index + 1) << 64n);
}
