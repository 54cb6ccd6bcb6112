/**
 * Measures bursts of promise calls after a silence, in which the event loops of both sides sleep.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  micros,
  type Outcome,
  type Plot,
  type Point,
  type Scenario,
  significant,
  times,
} from "../lib/outcome.ts";
import { promiseLoad, samePairs, startChannel, startUnix } from "../lib/pairs.ts";
import type { Runtime } from "../lib/runtimes.ts";
import {
  alternate,
  type Entry,
  type Results,
  type Series,
  seriesOf,
  type Slice,
} from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";
import { summarize } from "../lib/stats.ts";

const warmUpMs = 500;
/** In a run that only checks that everything works. */
const warmUpOfRound = 50;
/** Bursts of a slice, at least: the median of fewer would be one of them. */
const burstsMin = 5;
/** More slices take longer than what they add is worth: most of the time is silence. */
const roundsMax = 12;

export const scenario: Scenario = {
  name: "silence",
  title: "Bursts after a silence",
  about:
    "All calls of a burst, 12 bytes each, are made in one turn of the event loop, after a timer that starts " +
    "with the last answer of the burst before. `first` and `last` are the times until the first and the last " +
    "answer. `CPU` is the processor time for one burst of all threads of both processes, as the scheduler " +
    "counts it. Each contender makes calls back to back for half a second before, so that its code is " +
    "compiled. The bars are about the best third of the slices.",
  run,
};

const raw = "channel";
const typed = "typed";
const socket = "Unix socket";

/** A way of calling in one runtime. */
interface Rival {
  readonly runtime: Runtime;
  readonly what: string;
  readonly caller: Caller;
}

/** A burst and the silence before it. */
interface Cell {
  readonly burst: number;
  readonly silenceMs: number;
}

/** All rivals in one cell. */
interface Measurement {
  readonly cell: Cell;
  readonly results: Results;
}

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const rivals = await startRivals(stage);
  const ms = Math.min(warmUpMs, warmUpOfRound * context.rounds);
  for (const { caller } of rivals) {
    await caller.run({ ...promiseLoad(12, 1), ms });
    await caller.run({ ...promiseLoad(12, 64), ms });
  }
  const rows: Record<string, string>[] = [];
  const all: Measurement[] = [];
  for (const cell of cellsOf(context)) {
    const entries = rivals.map((rival) => entryOf(rival, cell));
    const sliceMs = Math.max(context.sliceMs, burstsMin * (cell.silenceMs + 1));
    const rounds = Math.min(context.rounds, roundsMax);
    const results = await alternate(entries, { rounds, sliceMs });
    all.push({ cell, results });
    rows.push(...entries.map((entry) => rowOf(cell, seriesOf(results, entry))));
  }
  return {
    tables: [{ title: "Latency and processor time of bursts", rows }],
    plots: plotsOf(rivals, all),
    bars: barsOf(rivals, all),
  };
}

async function startRivals(stage: Stage): Promise<Rival[]> {
  const rivals: Rival[] = [];
  for (const pair of samePairs) {
    const { client: runtime } = pair;
    const add = async (what: string, starting: Promise<Caller>): Promise<void> => {
      rivals.push({ runtime, what, caller: await starting });
    };
    await add(raw, startChannel(stage, pair, "channel_promise"));
    await add(socket, startUnix(stage, pair, "unix_own"));
    await add(typed, startChannel(stage, pair, "typed"));
    const [ipc, module] = runtime === "bun"
      ? ["Bun.spawn IPC", "spawn_ipc"]
      : ["fork IPC", "fork_ipc"];
    await add(ipc, stage.call(runtime, module, "advanced"));
    await add("Worker", stage.call(runtime, "worker", ""));
    await add("HTTP", startUnix(stage, pair, "http_unix"));
  }
  return rivals;
}

function cellsOf({ isShort }: Context): readonly Cell[] {
  const silences = isShort ? [5, 50] : [1, 5, 20, 50];
  const bursts = isShort ? [1, 64] : [1, 4, 16, 64, 256];
  return silences.flatMap((silenceMs) => bursts.map((burst) => ({ burst, silenceMs })));
}

function nameOf(runtime: Runtime, what: string): string {
  return `${runtime}, ${what}`;
}

function entryOf({ runtime, what, caller }: Rival, { burst, silenceMs }: Cell): Entry {
  const load = { bytes: 12, timeEvery: 1, pauseMs: silenceMs, burst };
  return { name: nameOf(runtime, what), run: (ms) => caller.runWatched({ ...load, ms }) };
}

const burstOf = ({ p50 }: Slice): number => p50;

function cpuOf(cell: Cell): (slice: Slice) => number {
  return ({ cpuMs = NaN, calls }) => cpuMs / (calls / cell.burst);
}

function rowOf(cell: Cell, series: Series): Record<string, string> {
  const { latency, firstLatency, slices } = series;
  const { median } = summarize(slices.map(cpuOf(cell)));
  return {
    "silence, ms": `${cell.silenceMs}`,
    burst: `${cell.burst}`,
    "": series.name,
    "first, p50, µs": micros(firstLatency.quantile(0.5)),
    "last, p50, µs": micros(latency.quantile(0.5)),
    "last, p90, µs": micros(latency.quantile(0.9)),
    "last, best third of the slices, µs": micros(series.best(burstOf)),
    "CPU, µs a burst": significant(median * 1e3),
  };
}

/** The series of a rival in one cell. */
function of(results: Results, runtime: Runtime, what: string): Series {
  return seriesOf(results, { name: nameOf(runtime, what) });
}

function plotsOf(rivals: readonly Rival[], all: readonly Measurement[]): Plot[] {
  const plots: Plot[] = [];
  const runtimes = [...new Set(rivals.map(({ runtime }) => runtime))];
  const silences = [...new Set(all.map(({ cell }) => cell.silenceMs))];
  for (const runtime of runtimes) {
    for (const silenceMs of silences) {
      const cells = all.filter(({ cell }) => cell.silenceMs === silenceMs);
      const own = rivals.filter((rival) => rival.runtime === runtime);
      plots.push({
        kind: "curve",
        name: `silence-${runtime}-${silenceMs}`,
        title: `${runtime}, bursts after ${silenceMs} ms, until the last answer`,
        x: "calls of the burst",
        y: "µs",
        isLogarithmic: true,
        series: own.map(({ what }) => ({
          name: what,
          points: cells.map(({ cell, results }) => pointOf(cell, of(results, runtime, what))),
        })),
      });
    }
  }
  return plots;
}

function pointOf({ burst }: Cell, { latency }: Series): Point {
  const at = (fraction: number): number => latency.quantile(fraction) / 1e3;
  return { x: burst, median: at(0.5), q1: at(0.25), q3: at(0.75) };
}

/** What the bursts of a size have to reach, beside the Unix socket. */
const classes = [
  { title: "1 call", includes: (burst: number) => burst === 1, must: 1.1 },
  { title: "bursts of 4 to 64", includes: (burst: number) => burst > 1 && burst <= 64, must: 1.2 },
  { title: "bursts of 256", includes: (burst: number) => burst > 64, must: 1.3 },
];
const goal = 0.8;
const cpuMust = 1.2;
const typedMust = 1;
const typedGoal = 0.5;

/** Each bar is about the worst of its cells. Node has none. */
function barsOf(rivals: readonly Rival[], all: readonly Measurement[]): Bar[] {
  const bars: Bar[] = [];
  const limit = { isLimit: true, write: times };
  for (const runtime of ["bun", "deno"] as const) {
    for (const { title, includes, must } of classes) {
      const cells = all.filter(({ cell }) => includes(cell.burst));
      if (cells.length === 0) continue;
      const worst = (
        what: string,
        other: string,
        figure: (cell: Cell) => (slice: Slice) => number,
      ): number =>
        Math.max(...cells.map(({ cell, results }) => {
          const best = (name: string) => of(results, runtime, name).best(figure(cell));
          return best(what) / best(other);
        }));
      bars.push({
        what: `${runtime}, ${title} after a silence, of the Unix socket's time`,
        measured: worst(raw, socket, () => burstOf),
        must,
        goal,
        ...limit,
      }, {
        what: `${runtime}, ${title} after a silence, of the Unix socket's CPU`,
        measured: worst(raw, socket, cpuOf),
        must: cpuMust,
        goal: 1,
        ...limit,
      });
      const others = rivals
        .filter((rival) => rival.runtime === runtime && ![raw, typed, socket].includes(rival.what));
      for (const { what } of others) {
        bars.push({
          what: `${runtime}, ${title} after a silence, typed, of the time of ${what}`,
          measured: worst(typed, what, () => burstOf),
          must: typedMust,
          goal: typedGoal,
          ...limit,
        });
      }
    }
  }
  return bars;
}
