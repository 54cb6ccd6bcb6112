/**
 * The results of a scenario: tables, plots and bars.
 *
 * @module
 */
import type { Histogram } from "./histogram.ts";
import type { Pace, Series } from "./slices.ts";
import { fixed, whole } from "./stats.ts";

/** One scenario of the suite. */
export interface Scenario {
  /** Its name on the command line. */
  readonly name: string;
  readonly title: string;
  /** Explains the measurement. */
  readonly about: string;
  run(context: Context): Promise<Outcome>;
}

/** Tells a scenario how to run. */
export interface Context extends Pace {
  /** Whether to measure fewer points of each curve, with shorter slices. */
  readonly isShort: boolean;
}

/** The results of a scenario. */
export interface Outcome {
  readonly tables: readonly Table[];
  readonly plots?: readonly Plot[];
  readonly bars?: readonly Bar[];
  /** Remarks on the figures. */
  readonly notes?: readonly string[];
}

/** Rows with the same columns. */
export interface Table {
  readonly title: string;
  readonly rows: readonly Readonly<Record<string, string>>[];
}

/** A figure and the values that it must reach. */
export interface Bar {
  /** The scenario and the figure. */
  readonly what: string;
  readonly measured: number;
  /** Whether smaller figures are better. */
  readonly isLimit?: boolean;
  readonly must: number;
  /** A better value to aim for, if there is one. */
  readonly goal?: number;
  /** Formats the figures. */
  readonly write: (value: number) => string;
}

/** Whether a figure reaches a value. NaN, for a figure that could not be measured, does not. */
export function isMet({ measured, isLimit = false }: Bar, value: number): boolean {
  return isLimit ? measured <= value : measured >= value;
}

/** A picture. */
export type Plot = LatencyPlot | CurvePlot | RatePlot;

/** The latencies of each contender at each quantile. */
export interface LatencyPlot {
  readonly kind: "latency";
  readonly name: string;
  readonly title: string;
  readonly series: readonly { readonly name: string; readonly histogram: Histogram }[];
}

/** A figure as a function of another number. */
export interface CurvePlot {
  readonly kind: "curve";
  readonly name: string;
  readonly title: string;
  readonly x: string;
  /** The figure; default: calls a second. */
  readonly y?: string;
  readonly isLogarithmic: boolean;
  readonly series: readonly { readonly name: string; readonly points: readonly Point[] }[];
}

/** One point of a curve: the median of the slices and their quartiles. */
export interface Point {
  readonly x: number;
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
}

/** Calls a second of unlike contenders. */
export interface RatePlot {
  readonly kind: "rates";
  readonly name: string;
  readonly title: string;
  readonly series: readonly (Omit<Point, "x"> & { readonly name: string })[];
}

/** Columns for the calls a second. */
export function rateColumns(series: Series): Record<string, string> {
  const { max, q3, median, q1 } = series.rates;
  return { best: whole(max), q3: whole(q3), median: whole(median), q1: whole(q1) };
}

/** Columns for the latencies over all slices, in microseconds. */
export function latencyColumns({ latency }: Series): Record<string, string> {
  const at = (fraction: number) => micros(latency.quantile(fraction));
  return { "p50, µs": at(0.5), "p99, µs": at(0.99), "p99.9, µs": at(0.999) };
}

/** The median and the quartiles of a ratio. */
export function ratioText(
  { median, q1, q3 }: { median: number; q1: number; q3: number },
): string {
  if (Number.isNaN(median)) return "—";
  return `${significant(median)} (${significant(q1)}–${significant(q3)})`;
}

/** A point of a curve. */
export function pointOf(x: number, series: Series): Point {
  const { median, q1, q3 } = series.rates;
  return { x, median, q1, q3 };
}

/** Nanoseconds as microseconds. */
export function micros(ns: number): string {
  return Number.isNaN(ns) ? "—" : significant(ns / 1e3);
}

/** `0.7` as `"70 %"`. */
export function percent(value: number): string {
  return `${fixed(value * 100, 0)} %`;
}

/** `4.321` as `"4.32 ×"`. */
export function times(value: number): string {
  return `${significant(value)} ×`;
}

/** A number with three significant digits. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return `${value}`;
  const digits = 2 - Math.floor(Math.log10(Math.abs(value)));
  return digits <= 0 ? whole(value) : fixed(value, Math.min(digits, 6));
}
