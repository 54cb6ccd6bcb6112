/**
 * Runs contenders in turn. All of them stay alive, and each runs for a slice of time. Only slices that
 * follow one another are compared, so that changes of the machine affect both.
 *
 * @module
 */
import { Histogram } from "./histogram.ts";
import type { Measured } from "./load.ts";
import { summarize, type Summary } from "./stats.ts";

/** One contender of a comparison. */
export interface Entry {
  readonly name: string;
  /** Runs one slice of so many milliseconds. */
  run(ms: number): Promise<Measured>;
  /** The references, which run right before or after it. */
  readonly against?: readonly Entry[];
}

/** One slice of one entry. */
export interface Slice extends Measured {
  /** Calls a second. */
  readonly rate: number;
  /** The median of the timed calls, in nanoseconds. */
  readonly p50: number;
}

/** The number and the length of the slices. */
export interface Pace {
  /** The number of slices of each entry. */
  readonly rounds: number;
  readonly sliceMs: number;
}

/** All slices of one entry. */
export class Series {
  readonly name: string;
  readonly slices: Slice[] = [];
  /** Neighbouring slices, by the name of the other entry. */
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

  /** The medians of the slices, in nanoseconds; `min` is the best slice. */
  get p50s(): Summary {
    return summarize(this.slices.map(({ p50 }) => p50).filter((p50) => !Number.isNaN(p50)));
  }

  /** The latencies of all slices together. */
  get latency(): Histogram {
    return this.slices.reduce((all, { latency }) => all.merge(latency), new Histogram());
  }

  /** The latencies of the first answers of all bursts. */
  get firstLatency(): Histogram {
    return this.slices.reduce(
      (all, { firstLatency = [] }) => all.merge(firstLatency),
      new Histogram(),
    );
  }

  /** The median of the best third of the slices; smaller figures are better. */
  best(figure: (slice: Slice) => number): number {
    const sorted = this.slices.map(figure).filter(Number.isFinite).sort((a, b) => a - b);
    return summarize(sorted.slice(0, Math.ceil(sorted.length / 3))).median;
  }

  /** The lateness of the timer in all slices together. */
  get lateness(): Histogram {
    return this.slices.reduce((all, { lateness = [] }) => all.merge(lateness), new Histogram());
  }

  /** The lateness of the timer in the server, in all slices together. */
  get serverLateness(): Histogram {
    return this.slices.reduce(
      (all, { serverLateness = [] }) => all.merge(serverLateness),
      new Histogram(),
    );
  }

  /** The ratios of neighbouring slices of this entry and the other one. */
  ratios(other: Entry, figure: (slice: Slice) => number = ({ rate }) => rate): Summary {
    const pairs = this.#pairs.get(other.name) ?? [];
    const ratios = pairs.map(([own, others]) => figure(own) / figure(others));
    return summarize(ratios.filter((ratio) => Number.isFinite(ratio)));
  }
}

/** The series of each entry, by name. */
export type Results = ReadonlyMap<string, Series>;

/** The series of an entry. */
export function seriesOf(results: Results, { name }: Pick<Entry, "name">): Series {
  const series = results.get(name);
  if (!series) throw new Error(`"${name}" was not measured`);
  return series;
}

/** The length of the first slice, which is for the compilers and does not count. */
const warmUpMs = 50;

/** Runs all entries in turn, each beside its references. */
export async function alternate(entries: readonly Entry[], pace: Pace): Promise<Results> {
  const results = new Map<string, Series>();
  const groups = groupsOf(entries);
  for (let round = -1; round < pace.rounds; round++) {
    const isWarmUp = round < 0;
    for (const group of groups) {
      // The order alternates, because the second place may be slower.
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
 * Groups entries with their references. Two entries with the same reference share its slice, which runs
 * between them.
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
