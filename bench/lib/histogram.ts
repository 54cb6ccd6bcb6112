/**
 * Counts times in logarithmic buckets, 64 for each doubling, so that a quantile is off by 0.8 % at most.
 * native/bench/driver.zig has the same buckets.
 *
 * @module
 */

const steps = 64;
const stepBits = 6;
const maxNs = 2 ** 32 - 1;
const bucketCount = 27 * steps;

/** The index and the count of each bucket that is not empty. */
export type Buckets = readonly (readonly [bucket: number, count: number])[];

/** Counts times up to four seconds. Longer times count as four seconds. */
export class Histogram {
  readonly #counts: Uint32Array = new Uint32Array(bucketCount);
  #total = 0;

  get count(): number {
    return this.#total;
  }

  add(ns: number): void {
    this.#counts[bucketOf(ns)]! += 1;
    this.#total += 1;
  }

  /** Adds the counts of another histogram. */
  merge(buckets: Buckets): this {
    for (const [bucket, count] of buckets) {
      this.#counts[bucket]! += count;
      this.#total += count;
    }
    return this;
  }

  buckets(): Buckets {
    return Array.from(this.#counts.entries()).filter(([, count]) => count > 0);
  }

  /** A quantile in nanoseconds; NaN without times. */
  quantile(fraction: number): number {
    let rest = Math.ceil(this.#total * fraction);
    for (const [bucket, count] of this.buckets()) {
      rest -= count;
      if (rest <= 0) return middleOf(bucket);
    }
    return NaN;
  }
}

function bucketOf(ns: number): number {
  const value = Math.min(Math.max(Math.round(ns), 0), maxNs);
  if (value < steps) return value;
  const shift = 31 - Math.clz32(value) - stepBits;
  return shift * steps + (value >>> shift);
}

function middleOf(bucket: number): number {
  if (bucket < 2 * steps) return bucket;
  const shift = Math.floor(bucket / steps) - 1;
  return (bucket - shift * steps + 0.5) * 2 ** shift;
}
