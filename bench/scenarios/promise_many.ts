/**
 * Measures many promise calls at a time.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  latencyColumns,
  type Outcome,
  type Point,
  pointOf,
  rateColumns,
  ratioText,
  type Scenario,
  times,
} from "../lib/outcome.ts";
import {
  entryOf,
  type Pair,
  pairs,
  promiseLoad,
  samePairs,
  socketKinds,
  startChannel,
  startUnix,
} from "../lib/pairs.ts";
import { runtimes } from "../lib/runtimes.ts";
import { alternate, type Entry, type Results, type Series, seriesOf } from "../lib/slices.ts";
import { type Caller, Stage } from "../lib/stage.ts";

const bars = {
  bun: { must: 4, goal: 8 },
  deno: { must: 2.5, goal: 4 },
  node: { must: 1.5, goal: 2.5 },
};
const barAt = 64;
const workerName = "node, worker thread";
/** Calls a second, of those that Node's own threads reach. */
const workerMust = 1.5;

export const scenario: Scenario = {
  name: "promise-many",
  title: "Promise echo, many outstanding",
  about:
    "So many loops of `await client.request(payload)` at the same time, 12 bytes, with `into` and with a " +
    "fresh array for each answer. Beside them are Unix sockets of the same two runtimes, through the " +
    "runtime's own interface and through `node:net`, which return views of the bytes that they read. Both " +
    "sides write all messages of one microtask checkpoint to a socket at once. The bar is relative to the " +
    "quicker socket, and in Node also to `postMessage` between two threads. Two limits are measured as well: `native` has so many calls in progress through the " +
    "same channel with native code on both sides, and `promises alone` are the same loops without sending.",
  run,
};

interface Named {
  readonly name: string;
  readonly caller: Caller;
}

/** The clients of a pair. */
interface Callers {
  readonly pair: Pair;
  readonly channel: Caller;
  /** The same with `into`. */
  readonly into: Caller;
  readonly sockets: readonly Named[];
}

async function run(context: Context): Promise<Outcome> {
  await using stage = new Stage();
  const callers: Callers[] = [];
  for (const pair of pairs) {
    const started = [];
    for (const [contender, name] of Object.entries(socketKinds(pair))) {
      const caller = await startUnix(stage, pair, contender);
      started.push({ name: `${pair.name}, ${name}`, caller });
    }
    const channel = await startChannel(stage, pair, "channel_promise");
    const into = await startChannel(stage, pair, "channel_promise_into");
    callers.push({ pair, channel, into, sockets: started });
  }

  const alone: Named[] = [];
  for (const runtime of runtimes) {
    const caller = await stage.call(runtime, "promises_alone", "");
    alone.push({ name: `promises alone, ${runtime}`, caller });
  }

  const worker = await stage.call("node", "worker", "");

  const levels = context.isShort ? [8, barAt] : [1, 4, 16, barAt, 128, 256];
  const rows: Record<string, string>[] = [];
  const curves = new Map<string, Point[]>();
  const met: Bar[] = [];
  let atBar: Results = new Map();
  for (const outstanding of levels) {
    const load = promiseLoad(12, outstanding);
    const entries = callers
      .filter(({ pair }) => outstanding === barAt || samePairs.includes(pair))
      .map(({ pair, channel, into, sockets }) => {
        const others = sockets.map(({ name, caller }) => entryOf(name, caller, load));
        if (pair.name === "node → node") others.push(entryOf(workerName, worker, load));
        const inPlace = entryOf(`${pair.name}, into`, into, load, others);
        const fresh = entryOf(`${pair.name}, fresh`, channel, load, others);
        return { pair, others, channels: [inPlace, fresh] };
      });
    const native = await stage.control("window", `${outstanding}`);
    const limits = [{ name: "native on both sides", caller: native }, ...alone]
      .map(({ name, caller }) => entryOf(name, caller, load));
    const channels = entries.flatMap(({ channels }) => channels);
    const results = await alternate([...channels, ...limits], context);
    const addRow = (each: Series, ofSocket: string): void => {
      rows.push({
        outstanding: `${outstanding}`,
        "": each.name,
        ...rateColumns(each),
        ...latencyColumns(each),
        "of the quicker socket": ofSocket,
      });
    };
    for (const limit of limits) addRow(seriesOf(results, limit), "");
    for (const { channels, others } of entries) {
      const quicker = quickest(results, socketsOf(others));
      for (const each of [...channels, ...others].map((entry) => seriesOf(results, entry))) {
        const isChannel = channels.some(({ name }) => name === each.name);
        addRow(each, isChannel ? ratioText(each.ratios(quicker)) : "");
        curves.set(each.name, [...curves.get(each.name) ?? [], pointOf(outstanding, each)]);
      }
    }
    if (outstanding !== barAt) continue;
    atBar = results;
    for (const { pair, channels, others } of entries) {
      const quicker = quickest(results, socketsOf(others));
      const workers = others.find(({ name }) => name === workerName);
      for (const channel of channels) {
        if (workers) {
          met.push({
            what: `promise, ${barAt} outstanding, ${channel.name}, of a worker thread`,
            measured: seriesOf(results, channel).ratios(workers).median,
            must: workerMust,
            write: times,
          });
        }
        met.push({
          what: `promise, ${barAt} outstanding, ${channel.name}, of the quicker Unix socket`,
          measured: seriesOf(results, channel).ratios(quicker).median,
          ...bars[pair.client],
          write: times,
        });
      }
    }
  }
  return {
    tables: [{ title: "Calls a second", rows }],
    plots: [
      {
        kind: "curve",
        name: "outstanding",
        title: "Promise echo, 12 bytes, against the calls outstanding",
        x: "calls outstanding",
        isLogarithmic: true,
        series: Array.from(curves, ([name, points]) => ({ name, points }))
          .filter(({ points }) => points.length > 1),
      },
      {
        kind: "latency",
        name: "promise-many-latency",
        title: `Promise echo, ${barAt} outstanding`,
        // More lines have no colours.
        series: [...atBar.values()]
          .filter(({ name }) => samePairs.some((pair) => name.startsWith(`${pair.name}, `)))
          .map(({ name, latency }) => ({ name, histogram: latency })),
      },
    ],
    bars: met,
  };
}

function socketsOf(entries: readonly Entry[]): readonly Entry[] {
  return entries.filter(({ name }) => name !== workerName);
}

function quickest(results: Results, entries: readonly Entry[]): Entry {
  return entries.reduce((best, entry) => {
    const isQuicker = seriesOf(results, entry).rates.median > seriesOf(results, best).rates.median;
    return isQuicker ? entry : best;
  });
}
