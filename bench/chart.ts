/**
 * Draws the chart of the README: the latency of one call at a time and the throughput of 64 calls
 * outstanding, of Tandem and of its alternatives, measured in the same run.
 *
 *     bun bench/chart.ts [--rounds N] [--out FILE] [--redraw]
 *
 * `--rounds`: slices of each contender, 40 by default, which takes a minute and a half. `--out`: the
 * SVG file, by default the one that the README shows. `--redraw`: measures nothing and draws the
 * figures of the last run again. The figures are also printed as a table.
 *
 * @module
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { installedPath } from "./contenders/packages.ts";
import { hasNats, startNats } from "./lib/nats.ts";
import { entryOf, promiseLoad, startUnix } from "./lib/pairs.ts";
import { type Runtime, runtimes } from "./lib/runtimes.ts";
import { alternate, type Entry, seriesOf } from "./lib/slices.ts";
import { type Caller, Stage } from "./lib/stage.ts";
import { fixed, whole } from "./lib/stats.ts";
import { type ChartFigure, drawChart } from "./report/chart.ts";

const payloadBytes = 12;
const outstanding = 64;
const sliceMs = 50;

/** The figures of the last run. */
const figuresFile = fileURLToPath(new URL("out/chart.json", import.meta.url));

/** A way of calling, in one runtime. */
interface Rival {
  readonly name: string;
  readonly runtime: Runtime;
  readonly caller: Caller;
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const { rounds, out, redraw } = readOptions();
  const figures = redraw
    ? JSON.parse(readFileSync(figuresFile, "utf8")) as ChartFigure[]
    : await measure(rounds);
  if (!redraw) {
    mkdirSync(new URL("out", import.meta.url), { recursive: true });
    writeFileSync(figuresFile, JSON.stringify(figures, null, 2));
  }
  console.table(figures.map(({ runtime, name, latency, rate }) => ({
    runtime,
    name,
    "p50, µs": fixed(latency),
    "calls a second": whole(rate),
  })));
  writeFileSync(out, await drawChart(figures));
  console.log(out);
}

async function measure(rounds: number): Promise<ChartFigure[]> {
  await using stage = new Stage();
  const rivals: Rival[] = [];
  for (const runtime of runtimes) await addRivals(stage, runtime, rivals);
  await addNats(stage, rivals);
  const cases = rivals.map(({ name, runtime, caller }) => {
    const entry = (count: number): Entry =>
      entryOf(`${runtime}, ${name}, ${count}`, caller, promiseLoad(payloadBytes, count));
    return { name, runtime, one: entry(1), many: entry(outstanding) };
  });
  const entries = cases.flatMap(({ one, many }) => [one, many]);
  const results = await alternate(entries, { rounds, sliceMs });
  return cases.map(({ name, runtime, one, many }) => ({
    name,
    runtime,
    latency: seriesOf(results, one).p50s.median / 1e3,
    rate: seriesOf(results, many).rates.median,
  }));
}

async function addRivals(stage: Stage, runtime: Runtime, rivals: Rival[]): Promise<void> {
  const add = async (name: string, starting: Promise<Caller>): Promise<void> => {
    rivals.push({ name, runtime, caller: await starting });
  };
  const pair = { client: runtime, server: runtime, name: runtime };
  await add("Tandem, typed call", served(stage, runtime, "typed", stage.path("tandem")));
  const channel = stage.channel();
  await add("Tandem, raw channel", served(stage, runtime, "channel_promise", channel));
  await add("Unix socket", startUnix(stage, pair, "unix_own"));
  await add("Worker postMessage", stage.call(runtime, "worker", ""));
  await (runtime === "bun"
    ? add("Bun.spawn IPC", stage.call(runtime, "spawn_ipc", "advanced"))
    : add("child_process IPC", stage.call(runtime, "fork_ipc", "advanced")));
  await add("HTTP, fetch", served(stage, runtime, "http", ""));
}

async function addNats(stage: Stage, rivals: Rival[]): Promise<void> {
  if (!hasNats || !existsSync(installedPath("node_modules"))) {
    console.error("chart: NATS is left out; `scripts/setup --bench` installs it");
    return;
  }
  const url = await startNats(stage);
  for (const runtime of runtimes) {
    const caller = await served(stage, runtime, "nats", `${url}#echo-${runtime}`);
    rivals.push({ name: "NATS", runtime, caller });
  }
}

async function served(
  stage: Stage,
  runtime: Runtime,
  contender: string,
  wanted: string,
): Promise<Caller> {
  const { child, address } = await stage.serve(runtime, contender, wanted);
  return await stage.call(runtime, contender, address, [child]);
}

function readOptions(): { rounds: number; out: string; redraw: boolean } {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "40" },
      out: { type: "string" },
      redraw: { type: "boolean", default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    console.error(`chart: --rounds must be a whole number above 0, not ${values.rounds}`);
    process.exit(2);
  }
  const out = values.out ?? fileURLToPath(new URL("../docs/latency.svg", import.meta.url));
  return { rounds, out, redraw: values.redraw };
}
