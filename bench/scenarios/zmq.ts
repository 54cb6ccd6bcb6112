/**
 * Compares the door for ZeroMQ clients with a broker of ZeroMQ.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  latencyColumns,
  type Outcome,
  rateColumns,
  ratioText,
  type Scenario,
  times,
} from "../lib/outcome.ts";
import { entryOf, promiseLoad } from "../lib/pairs.ts";
import { Child } from "../lib/parent.ts";
import { type Runtime, runtimes } from "../lib/runtimes.ts";
import { alternate, type Entry, type Results, seriesOf } from "../lib/slices.ts";
import { Stage } from "../lib/stage.ts";
import type { BrokerAddresses } from "../zmq/broker.ts";
import { anyPort } from "../zmq/endpoint.ts";

/** Calls a second, of those through the broker. */
const ratioMust = 3;
/** Calls a second of the load generator to its own echo, of those through the door. */
const generatorMust = 2;
const connections = 8;
/** So many calls outstanding keep two processors busy on every way. */
const busy = 256;
const workers = 2;
const sliceMsMin = 50;
/** Five processes work together here, and each has code to compile. */
const warmUpMs = 1_000;

export const scenario: Scenario = {
  name: "zmq",
  title: "The door for ZeroMQ clients",
  about:
    `Echo of 64 bytes for a native client with ${connections} connections of a DEALER socket over TCP. The door of each ` +
    `runtime has ${workers} processes of that runtime behind it: servers of a raw channel, or services with one ` +
    "method. The broker is the one of the ZeroMQ guide, ROUTER and DEALER with libzmq's proxy in a Node process, with " +
    `${workers} Node processes behind it: REP sockets, or DEALER sockets. Ratios are to the broker, between ` +
    "neighbouring slices. `generator` is the client with an echo in its own process.",
  run,
};

/** How servers serve: the contender that does it. */
const forms = { raw: "channel_promise", typed: "typed" } as const;

async function run(context: Context): Promise<Outcome> {
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  const plots = [];
  for (const outstanding of context.isShort ? [busy] : [64, busy]) {
    await using stage = new Stage();
    const entry = entryMaker(stage, outstanding);
    const brokers = [
      await entry("broker, REP workers", await startBroker(stage, "rep")),
      await entry("broker, DEALER workers", await startBroker(stage, "dealer")),
    ];
    const generator = await entry("generator");
    const own: (Entry & { readonly runtime: Runtime })[] = [];
    for (const runtime of runtimes) {
      for (const form of ["raw", "typed"] as const) {
        const endpoint = await startDoor(stage, runtime, forms[form]);
        const against = [...brokers, generator];
        const door = await entry(`${runtime}, door, ${form}`, endpoint);
        own.push({ ...door, against, runtime });
      }
    }
    // Short slices would measure the ways of the first and the last calls.
    const pace = { ...context, sliceMs: Math.max(context.sliceMs, sliceMsMin) };
    for (const each of [...own, ...brokers]) await each.run(warmUpMs);
    const results = await alternate(own, pace);
    const [rep, dealer] = brokers as [Entry, Entry];
    const all = [...own, ...brokers, generator].map((each) => seriesOf(results, each));
    for (const each of all) {
      const isDoor = each.name.includes("door");
      const ratioTo = (other: Entry) => isDoor ? ratioText(each.ratios(other)) : "";
      rows.push({
        outstanding: `${outstanding}`,
        "": each.name,
        ...rateColumns(each),
        ...latencyColumns(each),
        "of the broker, REP": ratioTo(rep),
        "of the broker, DEALER": ratioTo(dealer),
        "of the generator": ratioTo(generator),
      });
    }
    // With few calls under way, processors idle while messages travel.
    if (outstanding === busy) {
      bars.push(...own.flatMap((door) => barsOf(door, results, brokers, generator, outstanding)));
    }
    plots.push({
      kind: "rates" as const,
      name: `zmq-${outstanding}`,
      title: `Calls of ZeroMQ clients, ${outstanding} outstanding`,
      series: all.map(({ name, rates: { median, q1, q3 } }) => ({ name, median, q1, q3 })),
    });
  }
  return { tables: [{ title: "Calls a second", rows }], plots, bars };
}

/** Starts clients. Without an endpoint, they talk to an echo in their own process. */
function entryMaker(
  stage: Stage,
  outstanding: number,
): (name: string, endpoint?: string) => Promise<Entry> {
  const load = promiseLoad(64, outstanding);
  const each = [`${connections}`, `${outstanding / connections}`];
  return async (name, endpoint) => {
    const [mode, address] = endpoint === undefined ? ["zmq-echo", anyPort] : ["zmq", endpoint];
    return entryOf(name, await stage.native(mode, address, ...each), load);
  };
}

async function startDoor(stage: Stage, runtime: Runtime, contender: string): Promise<string> {
  const target = stage.channel({ slots: 1_024 });
  for (let count = 0; count < workers; count++) await stage.serve(runtime, contender, target);
  const door = stage.use(Child.of(runtime, new URL("../zmq/door.ts", import.meta.url), [target]));
  return (await door.receive<{ address: string }>()).address;
}

async function startBroker(stage: Stage, kind: "rep" | "dealer"): Promise<string> {
  const broker = stage.use(Child.of("node", new URL("../zmq/broker.ts", import.meta.url)));
  const { clients, workers: endpoint } = await broker.receive<BrokerAddresses>();
  for (let count = 0; count < workers; count++) {
    const module = new URL("../zmq/worker.ts", import.meta.url);
    await stage.use(Child.of("node", module, [kind, endpoint])).receive();
  }
  return clients;
}

function barsOf(
  door: Entry,
  results: Results,
  brokers: readonly Entry[],
  generator: Entry,
  outstanding: number,
): readonly Bar[] {
  const series = seriesOf(results, door);
  const what = `ZeroMQ, ${door.name}, ${outstanding} outstanding`;
  return [
    {
      what: `${what}, of the faster broker`,
      measured: Math.min(...brokers.map((broker) => series.ratios(broker).median)),
      must: ratioMust,
      write: times,
    },
    {
      what: `${what}, the generator's own rate to this`,
      measured: 1 / series.ratios(generator).median,
      must: generatorMust,
      write: times,
    },
  ];
}
