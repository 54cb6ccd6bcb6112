/**
 * Seeded randomness: the same seed and stream give the same decisions in every process.
 *
 * @module
 */
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

type Generator = ReturnType<typeof xoroshiro128plus>;

/** One stream of decisions. */
export class Random {
  readonly #generator: Generator;

  constructor(seed: number, stream: number) {
    this.#generator = xoroshiro128plus(mix(seed, stream));
  }

  /** `from`, `to` or any whole number between them. */
  between(from: number, to: number): number {
    return uniformInt(this.#generator, from, to);
  }

  /** True in `share` of all cases. */
  chance(share: number): boolean {
    return (this.#generator.next() >>> 0) < share * 2 ** 32;
  }

  /** One of them. */
  pick<T>(from: readonly T[]): T {
    return from[this.between(0, from.length - 1)]!;
  }

  /** Picks one of them by weight. */
  weighted<T>(from: readonly (readonly [T, number])[]): T {
    let left = this.between(1, from.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [value, weight] of from) if ((left -= weight) <= 0) return value;
    throw new Error("unreachable");
  }

  /** Mostly near `from`: the logarithm is distributed evenly. */
  skewed(from: number, to: number): number {
    const share = (this.#generator.next() >>> 0) / 2 ** 32;
    return Math.floor(from * (to / from) ** share);
  }
}

/** A number of 32 bits that depends on each bit of all of them. */
export function mix(...values: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const value of values) {
    hash = Math.imul(hash ^ value, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}
