/**
 * Compares pools of workers.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { installedPath } from "../contenders/packages.ts";
import {
  type Bar,
  type Context,
  latencyColumns,
  micros,
  type Outcome,
  type Plot,
  rateColumns,
  ratioText,
  type Scenario,
  significant,
  times,
} from "../lib/outcome.ts";
import { entryOf, promiseLoad } from "../lib/pairs.ts";
import { Child } from "../lib/parent.ts";
import { type Runtime, runtimes } from "../lib/runtimes.ts";
import { alternate, type Entry, type Results, type Series, seriesOf } from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";
import { summarize } from "../lib/stats.ts";
import type { PoolKind, PoolMode } from "../pool/pools.ts";

/** Tasks a second with many outstanding, of those of the best other pool. */
const manyMust = 20;
/** The median time of a single task, of that of the best other pool. */
const oneLimit = 1;
const many = 64;

export const scenario: Scenario = {
  name: "pool",
  title: "Pools of workers",
  about:
    "A task that returns its number, with 64 outstanding and with one. piscina, tinypool, workerpool and " +
    "children of `fork` run in Node, each in several modes: with one worker and two, with threads and with " +
    "processes, with atomics and without, with one task at a time for each worker and with as many as there " +
    "are. The best mode of each is found first, for each load, and takes turns with Tandem. Ratios are to the " +
    "best of the three pools, and to the children of `fork`, between neighbouring slices. Workers of Tandem are " +
    "processes in every mode; `at once` has as many calls in progress in each worker as there are.",
  run,
};

/** A pool in one mode. */
interface Mode {
  readonly name: string;
  readonly runtime: Runtime;
  readonly kind: PoolKind;
  readonly mode: PoolMode;
}

/** A mode whose client is running. */
interface Running extends Mode {
  readonly caller: Caller;
}

async function run(context: Context): Promise<Outcome> {
  const others = otherModes();
  const rows: Record<string, string>[] = [];
  const tried: Record<string, string>[] = [];
  const bars: Bar[] = [];
  const plots: Plot[] = [];
  for (const outstanding of [many, 1]) {
    const load = promiseLoad(1, outstanding);
    const entry = ({ name, caller }: Running): Entry => entryOf(name, caller, load);
    await using stage = new Stage();
    const best = await bestModes(others, outstanding, context, tried);
    const rivals: Entry[] = [];
    for (const mode of best) rivals.push(entry(await start(stage, mode)));
    const own: Entry[] = [];
    for (const mode of ownModes) {
      own.push({ ...entry(await start(stage, mode)), against: rivals });
    }
    const results = await alternate(own, context);
    const forks = rivals.find(({ name }) => name.startsWith("forks"));
    const quickest = quickestOf(results, rivals.filter((rival) => rival !== forks), outstanding);
    for (const each of [...own, ...rivals].map((entry) => seriesOf(results, entry))) {
      const isOwn = own.some(({ name }) => name === each.name);
      const ratioTo = (other: Entry | undefined): string =>
        isOwn && other ? ratioText(ratiosTo(each, other, outstanding)) : "";
      rows.push({
        outstanding: `${outstanding}`,
        "": each.name,
        ...rateColumns(each),
        "best p50, µs": micros(each.p50s.min),
        ...latencyColumns(each),
        "of the best pool": ratioTo(quickest),
        "of forks": ratioTo(forks),
      });
    }
    bars.push(...runtimes.map((runtime) => barOf(runtime, results, quickest, outstanding)));
    plots.push({
      kind: "rates",
      name: `pool-${outstanding}`,
      title: `Pools, a trivial task, ${outstanding} outstanding`,
      series: [...own, ...rivals].map((entry) => {
        const { name, rates: { median, q1, q3 } } = seriesOf(results, entry);
        return { name, median, q1, q3 };
      }),
    });
  }
  const starts = await startTimes(others, context.isShort ? 3 : 10);
  return {
    tables: [
      { title: "Tasks a second; with one outstanding the ratio is of the median times", rows },
      {
        title: "Start of a pool, and the next answer after its only worker has ended",
        rows: starts,
      },
      { title: "Which mode is best: a few slices of each", rows: tried },
    ],
    plots,
    bars,
    notes: missing()
      ? ["piscina, tinypool and workerpool are not installed and were left out."]
      : [],
  };
}

/** The pools of Tandem: in each runtime, with one worker and with two, one call at a time for each or all. */
const ownModes: readonly Mode[] = runtimes.flatMap((runtime) =>
  [1, many].flatMap((concurrency) =>
    [1, 2].map((workers) => ({
      name: `Tandem, ${runtime}${concurrency > 1 ? ", at once" : ""}, ${inWords(workers)}`,
      runtime,
      kind: "tandem" as const,
      mode: { workers, options: { concurrency } },
    }))
  )
);

function missing(): boolean {
  return !existsSync(installedPath("node_modules/tinypool"));
}

function otherModes(): readonly Mode[] {
  const options: Readonly<Record<Exclude<PoolKind, "tandem">, Readonly<Record<string, object>>>> = {
    piscina: {
      "by default": {},
      "atomics sync, all tasks at once": { atomics: "sync", concurrentTasksPerWorker: many },
      "atomics async": { atomics: "async" },
      "atomics async, all tasks at once": { atomics: "async", concurrentTasksPerWorker: many },
      "no atomics": { atomics: "disabled" },
      "no atomics, all tasks at once": { atomics: "disabled", concurrentTasksPerWorker: many },
    },
    tinypool: {
      "by default": {},
      "all tasks at once": { concurrentTasksPerWorker: many },
      "no atomics": { useAtomics: false },
      "no atomics, all tasks at once": { useAtomics: false, concurrentTasksPerWorker: many },
      "processes": { runtime: "child_process", concurrentTasksPerWorker: many },
    },
    workerpool: {
      "threads": { workerType: "thread" },
      "processes": { workerType: "process" },
    },
    forks: {
      "json": { serialization: "json" },
      "advanced": { serialization: "advanced" },
    },
  };
  return Object.entries(options)
    .filter(([kind]) => kind === "forks" || !missing())
    .flatMap(([kind, modes]) =>
      Object.entries(modes).flatMap(([what, options]) =>
        [1, 2].map((workers): Mode => ({
          name: `${kind}, ${what}, ${inWords(workers)}`,
          runtime: "node",
          kind: kind as PoolKind,
          mode: { workers, options: options as Readonly<Record<string, unknown>> },
        }))
      )
    );
}

function inWords(workers: number): string {
  return workers === 1 ? "one worker" : `${workers} workers`;
}

async function start(stage: Stage, mode: Mode): Promise<Running> {
  const address = JSON.stringify([mode.kind, mode.mode]);
  return { ...mode, caller: await stage.call(mode.runtime, "pool", address) };
}

/** The best mode of each other pool, after a few slices of all of them. */
async function bestModes(
  modes: readonly Mode[],
  outstanding: number,
  context: Context,
  tried: Record<string, string>[],
): Promise<readonly Mode[]> {
  const best: Mode[] = [];
  const rounds = Math.min(context.rounds, 8);
  for (const kind of new Set(modes.map(({ kind }) => kind))) {
    await using stage = new Stage();
    const running: Running[] = [];
    for (const mode of modes) if (mode.kind === kind) running.push(await start(stage, mode));
    const load = promiseLoad(1, outstanding);
    const entries = running.map(({ name, caller }) => entryOf(name, caller, load));
    const results = await alternate(entries, { ...context, rounds });
    const first = quickestOf(results, entries, outstanding);
    for (const entry of entries) {
      const { rates, p50s } = seriesOf(results, entry);
      tried.push({
        outstanding: `${outstanding}`,
        "": entry.name,
        "median, tasks a second": significant(rates.median),
        "best": significant(rates.max),
        "median p50, µs": micros(p50s.median),
        chosen: entry === first ? "yes" : "",
      });
    }
    best.push(running.find(({ name }) => name === first?.name)!);
  }
  return best;
}

/** With one outstanding, by the median time; else by the rate. */
function quickestOf(
  results: Results,
  entries: readonly Entry[],
  outstanding: number,
): Entry | undefined {
  const speed = (entry: Entry): number => {
    const { rates, p50s } = seriesOf(results, entry);
    return outstanding === 1 ? 1 / p50s.median : rates.median;
  };
  return entries.toSorted((one, other) => speed(other) - speed(one))[0];
}

function ratiosTo(series: Series, other: Entry, outstanding: number): ReturnType<Series["ratios"]> {
  return outstanding === 1 ? series.ratios(other, ({ p50 }) => p50) : series.ratios(other);
}

function barOf(
  runtime: Runtime,
  results: Results,
  quickest: Entry | undefined,
  outstanding: number,
): Bar {
  const own = ownModes.filter((mode) => mode.runtime === runtime)
    .map(({ name }) => results.get(name)!);
  const medians = quickest ? own.map((each) => ratiosTo(each, quickest, outstanding).median) : [];
  const what = `pool, ${runtime}, ${outstanding} outstanding, of the best other pool`;
  return outstanding === 1
    ? {
      what: `${what}, median time`,
      measured: medians.length > 0 ? Math.min(...medians) : NaN,
      isLimit: true,
      must: oneLimit,
      write: times,
    }
    : {
      what,
      measured: medians.length > 0 ? Math.max(...medians) : NaN,
      must: manyMust,
      write: times,
    };
}

async function startTimes(
  others: readonly Mode[],
  count: number,
): Promise<Record<string, string>[]> {
  const rows: Record<string, string>[] = [];
  const modes = [...ownModes, ...others].filter(({ name, mode }) =>
    mode.workers === 2 && !name.includes("at once") &&
    /Tandem|by default|threads|processes|json/.test(name)
  );
  for (const { name, runtime, kind, mode } of modes) {
    const args = [kind, JSON.stringify(mode), `${count}`];
    await using child = Child.of(runtime, new URL("../pool/start.ts", import.meta.url), args);
    const start = summarize(await child.receive<number[]>());
    // A pool that never answers leaves its process nothing to wait for.
    const replace = summarize(await child.receive<number[]>().catch(() => []));
    rows.push({
      "": name,
      "start, ms": ratioText(start),
      "best": significant(start.min),
      "replaced, ms": replace.count > 0 ? ratioText(replace) : "never",
      "best ": replace.count > 0 ? significant(replace.min) : "",
    });
  }
  return rows;
}
