/**
 * Contenders that take turns: all of them stay alive, each runs for a slice of time, and what is
 * compared are slices that lie side by side, so that whatever the machine does it does to both.
 *
 * @module
 */
import { Histogram } from "./histogram.ts";
import type { Measured } from "./load.ts";
import { summarize, type Summary } from "./stats.ts";

/** One contender of a comparison, and what it does. */
export interface Entry {
  readonly name: string;
  /** Runs for so many milliseconds. */
  run(ms: number): Promise<Measured>;
  /** What it is compared with: these run right beside it. */
  readonly against?: readonly Entry[];
}

/** One slice of one entry. */
export interface Slice extends Measured {
  /** Calls a second. */
  readonly rate: number;
  /** The median of the calls that were timed, in nanoseconds. */
  readonly p50: number;
}

/** How a comparison is run. */
export interface Pace {
  /** How often each entry runs. */
  readonly rounds: number;
  readonly sliceMs: number;
}

/** All slices of one entry. */
export class Series {
  readonly name: string;
  readonly slices: Slice[] = [];
  /** By the other's name: slices that lie side by side. */
  readonly #pairs: Map<string, (readonly [own: Slice, other: Slice])[]> = new Map();

  constructor(name: string) {
    this.name = name;
  }

  pair(other: string, own: Slice, others: Slice): void {
    const pairs = this.#pairs.get(other) ?? [];
    this.#pairs.set(other, pairs);
    pairs.push([own, others]);
  }

  /** Calls a second. */
  get rates(): Summary {
    return summarize(this.slices.map(({ rate }) => rate));
  }

  /** Medians of the slices, in nanoseconds; `min` is the best slice's. */
  get p50s(): Summary {
    return summarize(this.slices.map(({ p50 }) => p50).filter((p50) => !Number.isNaN(p50)));
  }

  /** Of all slices together. */
  get latency(): Histogram {
    return this.slices.reduce((all, { latency }) => all.merge(latency), new Histogram());
  }

  /** Of all slices together. */
  get lateness(): Histogram {
    return this.slices.reduce((all, { lateness = [] }) => all.merge(lateness), new Histogram());
  }

  /** Of all slices together, in the server. */
  get serverLateness(): Histogram {
    return this.slices.reduce(
      (all, { serverLateness = [] }) => all.merge(serverLateness),
      new Histogram(),
    );
  }

  /** What was measured here for one of what was measured there, slice by slice. */
  ratios(other: Entry, figure: (slice: Slice) => number = ({ rate }) => rate): Summary {
    const pairs = this.#pairs.get(other.name) ?? [];
    const ratios = pairs.map(([own, others]) => figure(own) / figure(others));
    return summarize(ratios.filter((ratio) => Number.isFinite(ratio)));
  }
}

/** By the entry's name. */
export type Results = ReadonlyMap<string, Series>;

/** The slices of an entry that took part. */
export function seriesOf(results: Results, { name }: Entry): Series {
  const series = results.get(name);
  if (!series) throw new Error(`"${name}" took no part`);
  return series;
}

/** What compilers need to see before it counts, whatever the slices. */
const warmUpMs = 50;

/** Runs all entries in turn, and those that they are compared with beside them. */
export async function alternate(entries: readonly Entry[], pace: Pace): Promise<Results> {
  const results = new Map<string, Series>();
  const groups = groupsOf(entries);
  for (let round = -1; round < pace.rounds; round++) {
    const isWarmUp = round < 0;
    for (const group of groups) {
      // Now in this order and then in that, so that coming second is nobody's burden.
      const order = round % 2 === 0 ? group : group.toReversed();
      const slices = new Map<string, Slice>();
      for (const entry of order) {
        const measured = await entry.run(isWarmUp ? warmUpMs : pace.sliceMs);
        slices.set(entry.name, sliceOf(measured));
      }
      if (!isWarmUp) note(group, slices, results);
    }
  }
  return results;
}

/**
 * Entries and what they are compared with, side by side; two that are compared with the same share
 * the slice between them.
 */
function groupsOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const groups: Entry[][] = [];
  let half: Entry[] | undefined;
  for (const entry of entries) {
    const { against = [] } = entry;
    const [only] = against;
    if (half && against.length === 1 && half.at(-1) === only) {
      half.push(entry);
      half = undefined;
      continue;
    }
    const group = [entry, ...against];
    groups.push(group);
    half = against.length === 1 ? group : undefined;
  }
  return groups;
}

function sliceOf(measured: Measured): Slice {
  const rate = measured.calls / measured.ms * 1e3;
  return { ...measured, rate, p50: new Histogram().merge(measured.latency).quantile(0.5) };
}

function note(
  group: readonly Entry[],
  slices: ReadonlyMap<string, Slice>,
  results: Map<string, Series>,
): void {
  for (const { name, against = [] } of group) {
    const own = slices.get(name)!;
    const series = results.get(name) ?? new Series(name);
    results.set(name, series);
    series.slices.push(own);
    for (const other of against) {
      const others = slices.get(other.name);
      if (others) series.pair(other.name, own, others);
    }
  }
}
