/**
 * What programs report that kill processes and measure how long the others take.
 *
 * @module
 */
import type { Bar } from "./options.ts";
import { fixed, type Summary } from "./stats.ts";

/** A row for each kind of kill, and whether its median keeps within the bar. */
export class KillReport {
  readonly rows: Record<string, unknown> = {};
  readonly bars: Bar[] = [];
  readonly #barMs: number;

  constructor(barMs: number) {
    this.#barMs = barMs;
  }

  /** Adds what was measured, in milliseconds. */
  add(name: string, { median, p90, p99, max, count }: Summary): void {
    this.rows[name] = {
      kills: count,
      median: fixed(median, 1),
      p90: fixed(p90, 1),
      p99: fixed(p99, 1),
      max: fixed(max, 1),
    };
    this.bars.push({
      what: `${name}: median ${fixed(median, 1)} ms ≤ ${this.#barMs} ms`,
      met: median <= this.#barMs,
    });
  }
}
