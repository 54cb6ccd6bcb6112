/**
 * Measures locks that nobody else wants, and how soon a standby takes over.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  latencyColumns,
  micros,
  type Outcome,
  rateColumns,
  ratioText,
  type Scenario,
  significant,
  type Table,
  times,
} from "../lib/outcome.ts";
import { blockingTimeEvery, entryOf, promiseLoad } from "../lib/pairs.ts";
import { type Runtime, runtimes } from "../lib/runtimes.ts";
import { alternate, type Entry, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";
import { measureTakeovers, takeoverBarMs, takeoverForms } from "../takeover.ts";

/** Nanoseconds for acquire and release in the best slice. */
const bestNs = { bun: 1_000, deno: 2_000, node: 2_000 };
/** Of flock and its unlock. Node's own calls of native functions take as long as the rest. */
const ratioMust = { bun: 3, deno: 3, node: 1 };

const forms = ["acquireSync", "tryAcquire", "acquire"] as const;
type Form = typeof forms[number];

export const scenario: Scenario = {
  name: "limit",
  title: "Locks",
  about:
    "Acquire and release of a limit of one place that nobody else wants, beside `flock(LOCK_EX)` and `flock(LOCK_UN)` " +
    "of the C library on a file in the same folder, which the runtime calls through the same FFI. The ratio is that of " +
    "the rates. Then the milliseconds from the SIGKILL of a holder to the next line of its standby's JavaScript " +
    "(`bench/takeover.ts`), both in the same runtime.",
  run,
};

async function run(context: Context): Promise<Outcome> {
  const locks = await measureLocks(context);
  const takeovers = await measureAllTakeovers(context);
  return {
    tables: [...locks.tables, ...takeovers.tables],
    plots: locks.plots ?? [],
    bars: [...locks.bars ?? [], ...takeovers.bars ?? []],
  };
}

interface Rival {
  readonly runtime: Runtime;
  readonly form: Form;
  readonly entry: Entry;
  readonly flock: Entry;
}

async function measureLocks(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const rivals: Rival[] = [];
  for (const runtime of runtimes) rivals.push(...await startRivals(stage, runtime));
  const results = await alternate(rivals.map(({ entry }) => entry), context);
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  for (const { runtime, form, entry, flock } of rivals) {
    const series = seriesOf(results, entry);
    const ratios = series.ratios(flock);
    for (const each of form === "acquireSync" ? [seriesOf(results, flock), series] : [series]) {
      rows.push({
        "": each.name,
        ...rateColumns(each),
        "best, µs": micros(1e9 / each.rates.max),
        ...latencyColumns(each),
        "of flock": each === series ? ratioText(ratios) : "",
      });
    }
    bars.push({
      what: `lock, ${entry.name}, acquire and release in µs, best slice`,
      measured: 1e9 / series.rates.max,
      isLimit: true,
      must: bestNs[runtime],
      write: micros,
    }, {
      what: `lock, ${entry.name}, of flock`,
      measured: ratios.median,
      must: ratioMust[runtime],
      write: times,
    });
  }
  return {
    tables: [{ title: "Acquire and release, a second", rows }],
    plots: [{
      kind: "rates",
      name: "limit-rates",
      title: "Acquire and release of a lock, a second",
      series: [...results.values()].map(({ name, rates }) => ({ name, ...rates })),
    }],
    bars,
  };
}

async function startRivals(stage: Stage, runtime: Runtime): Promise<readonly Rival[]> {
  const target = stage.path("limit");
  const blocking = { bytes: 1, timeEvery: blockingTimeEvery };
  const flock = entryOf(
    `${runtime}, flock`,
    await stage.call(runtime, "flock", stage.path("lock")),
    { ...blocking, form: "flock" },
  );
  const caller = await stage.call(runtime, "limit", target);
  return forms.map((form) => {
    // A promise takes so little time that a look at the clock for each would count.
    const load = form === "acquire"
      ? { ...promiseLoad(1, 1), timeEvery: blockingTimeEvery }
      : { ...blocking, form };
    return { runtime, form, flock, entry: entryOf(`${runtime}, ${form}`, caller, load, [flock]) };
  });
}

async function measureAllTakeovers(context: Context): Promise<Outcome> {
  const kills = context.isShort ? Math.min(3, context.rounds) : Math.max(5, context.rounds);
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  for (const runtime of runtimes) {
    for (const form of takeoverForms) {
      const summary = await measureTakeovers(runtime, form, kills);
      rows.push({
        "": `${runtime}, ${form}`,
        kills: `${summary.count}`,
        "median, ms": significant(summary.median),
        "p90, ms": significant(summary.p90),
        "max, ms": significant(summary.max),
      });
      bars.push({
        what: `takeover, ${runtime}, ${form}, ms from the SIGKILL, median`,
        measured: summary.median,
        isLimit: true,
        must: takeoverBarMs,
        write: significant,
      });
    }
  }
  const table: Table = { title: "Takeover after SIGKILL", rows };
  return { tables: [table], bars };
}
