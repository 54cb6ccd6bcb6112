/**
 * Measures more processes than processors: several clients and two servers.
 *
 * @module
 */
import { Histogram } from "../lib/histogram.ts";
import type { Load, Measured } from "../lib/load.ts";
import {
  type Bar,
  type Context,
  latencyColumns,
  micros,
  type Outcome,
  percent,
  type Plot,
  type Point,
  pointOf,
  rateColumns,
  ratioText,
  type Scenario,
  significant,
} from "../lib/outcome.ts";
import { entryOf, promiseLoad, startChannel } from "../lib/pairs.ts";
import type { Runtime } from "../lib/runtimes.ts";
import { alternate, type Entry, type Series, seriesOf } from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";
import { whole } from "../lib/stats.ts";

const serverCount = 2;
const barAt = 3;

/** The runtimes of the processes of a group, in turn. */
const mixes: Readonly<Record<string, readonly Runtime[]>> = {
  bun: ["bun"],
  deno: ["deno"],
  node: ["node"],
  mixed: ["bun", "deno", "node"],
};

export const scenario: Scenario = {
  name: "clients",
  title: "Several clients, two servers",
  about:
    "12 bytes. Blocking clients call with `into`, and every call is timed. Promise clients keep 16 calls " +
    "outstanding each; their reference is one client and one server with 64. All clients of a group " +
    "start a slice together. The rate and the latency are those of all clients together; fairness is " +
    "the number of calls of the slowest client divided by that of the fastest, over all slices.",
  run,
};

/** The clients of a channel with two servers. */
class Group {
  readonly clients: readonly Caller[];
  /** The calls of each client over all slices, including the first. */
  readonly #done: Map<string, number[]> = new Map();

  constructor(clients: readonly Caller[]) {
    this.clients = clients;
  }

  /** Runs the first `count` clients at the same time. */
  async run(name: string, count: number, load: Load): Promise<Measured> {
    const measured = await Promise.all(
      this.clients.slice(0, count).map((client) => client.run(load)),
    );
    const done = this.#done.get(name) ?? new Array<number>(count).fill(0);
    this.#done.set(name, done.map((calls, index) => calls + measured[index]!.calls));
    const latency = measured.reduce((all, each) => all.merge(each.latency), new Histogram());
    return {
      calls: measured.reduce((sum, { calls }) => sum + calls, 0),
      ms: Math.max(...measured.map(({ ms }) => ms)),
      latency: latency.buckets(),
    };
  }

  /** The calls of the slowest client divided by those of the fastest. */
  fairness(name: string): number {
    const done = this.#done.get(name) ?? [];
    return Math.min(...done) / Math.max(...done);
  }
}

async function startGroup(
  stage: Stage,
  mix: readonly Runtime[],
  contender: string,
  count: number,
): Promise<Group> {
  const runtimeOf = (index: number) => mix[index % mix.length]!;
  const target = stage.channel();
  for (let index = 0; index < serverCount; index++) {
    await stage.serve(runtimeOf(index), contender, target);
  }
  const clients: Caller[] = [];
  for (let index = 0; index < count; index++) {
    clients.push(await stage.call(runtimeOf(index), contender, target));
  }
  return new Group(clients);
}

async function run(context: Context): Promise<Outcome> {
  // The scheduler of the system has slices of some milliseconds.
  const pace = { ...context, sliceMs: Math.max(context.sliceMs, 16) };
  const blocking = await runBlocking(context.isShort ? [barAt] : [1, 2, barAt, 4, 8], pace);
  const promise = await runPromise(context.isShort ? [barAt] : [1, 2, barAt, 4, 8], pace);
  return {
    tables: [...blocking.tables, ...promise.tables],
    plots: [...blocking.plots ?? [], ...promise.plots ?? []],
    bars: [...blocking.bars ?? [], ...promise.bars ?? []],
  };
}

async function runBlocking(counts: readonly number[], pace: Context): Promise<Outcome> {
  await using stage = new Stage();
  const groups = new Map<string, Group>();
  for (const [name, mix] of Object.entries(mixes)) {
    groups.set(name, await startGroup(stage, mix, "channel_blocking", Math.max(...counts)));
  }
  const rows: Record<string, string>[] = [];
  const curves = new Map<string, Point[]>();
  const bars: Bar[] = [];
  const atBar: Series[] = [];
  for (const count of counts) {
    const entries = Array.from(groups, ([mix, group]) => {
      const name = `${mix}, ${count} clients`;
      const load = { bytes: 12, form: "into", timeEvery: 1 };
      const entry: Entry = { name, run: (ms) => group.run(name, count, { ...load, ms }) };
      return { mix, group, entry };
    });
    const results = await alternate(entries.map(({ entry }) => entry), pace);
    for (const { mix, group, entry } of entries) {
      const series = seriesOf(results, entry);
      const p9999 = series.latency.quantile(0.9999);
      const fairness = group.fairness(entry.name);
      rows.push({
        clients: `${count}`,
        runtimes: mix,
        ...rateColumns(series),
        ...latencyColumns(series),
        "p99.99, µs": micros(p9999),
        "slowest of fastest": percent(fairness),
      });
      curves.set(mix, [...curves.get(mix) ?? [], pointOf(count, series)]);
      if (count !== barAt) continue;
      atBar.push(series);
      const what = `blocking, ${barAt} clients, ${serverCount} servers, ${mix}`;
      bars.push(
        {
          what: `${what}, calls a second, best slice`,
          measured: series.rates.max,
          must: 500_000,
          goal: 2_000_000,
          write: whole,
        },
        {
          what: `${what}, p99.99 in ms`,
          measured: p9999 / 1e6,
          isLimit: true,
          must: 25,
          write: significant,
        },
        {
          what: `${what}, slowest client of the fastest`,
          measured: fairness,
          must: 1 / 3,
          goal: 1 / 2,
          write: percent,
        },
      );
    }
  }
  return {
    tables: [{ title: `Blocking, ${serverCount} servers`, rows }],
    plots: [
      ...curve("clients-blocking", "Blocking echo against the clients, two servers", curves),
      {
        kind: "latency",
        name: "clients-latency",
        title: `Blocking echo, ${barAt} clients, ${serverCount} servers`,
        series: atBar.map(({ name, latency }) => ({ name, histogram: latency })),
      },
    ],
    bars,
  };
}

async function runPromise(counts: readonly number[], pace: Context): Promise<Outcome> {
  await using stage = new Stage();
  const contender = "channel_promise";
  const groups: { mix: string; group: Group; single: Entry }[] = [];
  for (const [mix, runtimes] of Object.entries(mixes)) {
    const [client, server = client] = runtimes as [Runtime, Runtime?];
    const name = `${mix}, 1 client with 64, 1 server`;
    const caller = await startChannel(stage, { client, server, name }, contender);
    const single = entryOf(name, caller, promiseLoad(12, 64));
    const group = await startGroup(stage, runtimes, contender, Math.max(...counts));
    groups.push({ mix, group, single });
  }
  const rows: Record<string, string>[] = [];
  const curves = new Map<string, Point[]>();
  const bars: Bar[] = [];
  for (const count of counts) {
    const entries = groups.map(({ mix, group, single }) => {
      const name = `${mix}, ${count} clients with 16`;
      const load = { ...promiseLoad(12, 16) };
      const entry: Entry = {
        name,
        run: (ms) => group.run(name, count, { ...load, ms }),
        against: [single],
      };
      return { mix, group, single, entry };
    });
    const results = await alternate(entries.map(({ entry }) => entry), pace);
    for (const { mix, group, single, entry } of entries) {
      const series = seriesOf(results, entry);
      const ratios = series.ratios(single);
      rows.push({
        clients: `${count}`,
        runtimes: mix,
        ...rateColumns(series),
        ...latencyColumns(series),
        "slowest of fastest": percent(group.fairness(entry.name)),
        "of 1 client with 64": ratioText(ratios),
      });
      curves.set(mix, [...curves.get(mix) ?? [], pointOf(count, series)]);
      if (count !== barAt) continue;
      bars.push({
        what: `promise, ${barAt} clients with 16, ${serverCount} servers, ${mix}, of 1:1 with 64`,
        measured: ratios.median,
        must: 0.5,
        goal: 0.8,
        write: percent,
      });
    }
  }
  return {
    tables: [{ title: `Promises, 16 outstanding a client, ${serverCount} servers`, rows }],
    plots: curve("clients-promise", "Promise echo against the clients, two servers", curves),
    bars,
  };
}

function curve(
  name: string,
  title: string,
  curves: ReadonlyMap<string, readonly Point[]>,
): readonly Plot[] {
  const series = Array.from(curves, ([name, points]) => ({ name, points }));
  if (series.every(({ points }) => points.length < 2)) return [];
  return [{ kind: "curve", name, title, x: "clients", isLogarithmic: false, series }];
}
