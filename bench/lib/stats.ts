/**
 * Quantiles, and numbers as text.
 *
 * @module
 */

/** The quantiles that the benchmarks print. */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** A quantile of values in ascending order, interpolated between neighbours. */
export function quantile(sorted: ArrayLike<number>, fraction: number): number {
  const position = (sorted.length - 1) * fraction;
  const below = Math.floor(position);
  const low = sorted[below] ?? NaN;
  const high = sorted[below + 1] ?? low;
  return low + (high - low) * (position - below);
}

/** The quantiles of values in any order. */
export function summarize(values: ArrayLike<number>): Summary {
  const sorted = Float64Array.from(values).sort();
  const at = (fraction: number) => quantile(sorted, fraction);
  return {
    count: sorted.length,
    min: at(0),
    q1: at(0.25),
    median: at(0.5),
    q3: at(0.75),
    p90: at(0.9),
    p99: at(0.99),
    max: at(1),
  };
}

/** `1234567.8` as `"1,234,568"`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** `1.234` as `"1.23"`. */
export function fixed(value: number, digits = 2): string {
  return value.toFixed(digits);
}
