/**
 * Keys whose hashes collide in a Map or Set: those of V8 and of JavaScriptCore, whose functions for
 * numbers have no seed and can be run backwards.
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

const over = {
  "21": inverse(21n),
  "65": inverse(65n),
  "9": inverse(9n),
  "2^18-1": inverse((1n << 18n) - 1n),
  "1-2^13": inverse(1n - (1n << 13n) & wide),
  "1-2^27": inverse(1n - (1n << 27n) & wide),
  "1-2^32": inverse(1n - (1n << 32n) & wide),
};

/** The word that V8's `ComputeLongHash` makes `hash` of. */
function beforeV8(hash: bigint): bigint {
  let x = undoShiftRight(hash, 22n);
  x = (x * over["65"]) & wide;
  x = undoShiftRight(x, 11n);
  x = (x * over["21"]) & wide;
  x = undoShiftRight(x, 31n);
  // ~x + (x << 18)
  return ((x + 1n) * over["2^18-1"]) & wide;
}

/** The word that JavaScriptCore's hash of 64 bits makes `hash` of. */
function beforeJSC(hash: bigint): bigint {
  let x = undoShiftRight(hash, 31n);
  x = ((x + 1n) * over["1-2^27"]) & wide;
  x = undoShiftRight(x, 15n);
  x = (x * over["9"]) & wide;
  x = undoShiftRight(x, 8n);
  x = ((x + 1n) * over["1-2^13"]) & wide;
  x = undoShiftRight(x, 22n);
  return ((x + 1n) * over["1-2^32"]) & wide;
}

const words = new BigUint64Array(1);
const doubles = new Float64Array(words.buffer);

/** Different doubles, none of them a whole number, whose hashes in that engine have equal low bits. */
export function collidingDoubles(engine: "v8" | "jsc", count: number): number[] {
  const found: number[] = [];
  // JavaScriptCore adds 2^49 to the bits of a double to tell it from a pointer.
  const offset = engine === "jsc" ? 1n << 49n : 0n;
  for (let high = 1n; found.length < count; high++) {
    const hash = (high << 30n) | 0x1234567n;
    const before = engine === "v8" ? beforeV8(hash) : beforeJSC((high << 32n) | 0x1234567n);
    words[0] = (before - offset) & wide;
    const double = doubles[0]!;
    // Values that are no doubles, or are stored as whole numbers, have other hashes.
    if (Number.isFinite(double) && !Number.isInteger(double)) found.push(double);
  }
  return found;
}
