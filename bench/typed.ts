/**
 * Measures typed calls: a call of two numbers beside the raw channel call of the same two processes, and
 * with metadata or `around` beside the plain one; 64
 * calls outstanding beside the runtime's own child processes and Workers; and a generator that sends a
 * gigabyte.
 *
 *     bun bench/typed.ts [--check] [--slices N]
 *
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { judge, parseOptions } from "./lib/options.ts";
import { Child } from "./lib/parent.ts";
import { type Runtime, runtimes } from "./lib/runtimes.ts";
import { fixed, summarize, whole } from "./lib/stats.ts";
import { Target } from "./lib/target.ts";

/** The calls a second of each slice, as client.ts reports them. */
export interface Slices {
  readonly raw: number[];
  readonly typed: number[];
  /** Calls with metadata, and calls through `around` of the client or of the service. */
  readonly metadata: number[];
  readonly clientAround: number[];
  readonly serviceAround: number[];
  readonly typed64: number[];
  readonly raw64: number[];
  readonly worker64: number[];
  /** Not in Deno. */
  readonly ipc64: number[];
}

/** The report of stream_client.ts at the end of the stream. */
export interface Streamed {
  readonly seconds: number;
  readonly bytes: number;
}

const sliceMs = 60;
const pieceBytes = 64 * 1024;
const streamBytes = 2 ** 30;
const overheadBars: Readonly<Record<Runtime, number>> = { bun: 2, deno: 4, node: 4 };
/** Microseconds that metadata, or around, may add to a call. */
const extraBar = 1;
const streamBars: Readonly<Record<Runtime, number>> = { bun: 1, deno: 0.5, node: 0.5 };
const privateBarBytes = 32 * 2 ** 20;
const committedBarBytes = 8 * 2 ** 20;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const options = parseOptions("slices", 25);
  const bars = [];
  const calls: Record<string, unknown> = {};
  const outstanding: Record<string, unknown> = {};
  const extras: Record<string, unknown> = {};
  const streams: Record<string, unknown> = {};
  for (const runtime of runtimes) {
    const slices = await measureCalls(runtime, options.count);
    const { overhead, row } = judgeOverhead(slices);
    calls[runtime] = row;
    bars.push({
      what: `${runtime}: a typed call takes ${fixed(overhead)} µs more than a raw one ` +
        `≤ ${overheadBars[runtime]} µs`,
      met: overhead <= overheadBars[runtime],
    });
    const [extra, extraRow] = judgeExtras(slices);
    extras[runtime] = extraRow;
    for (const [name, difference] of Object.entries(extra)) {
      bars.push({
        what: `${runtime}: a call with ${name} takes ${fixed(difference)} µs more ≤ ${extraBar} µs`,
        met: difference <= extraBar,
      });
    }
    const { typed64, worker64, ipc64 } = slices;
    const ofWorker = ratio(typed64, worker64);
    const ofIpc = ratio(typed64, ipc64);
    outstanding[runtime] = {
      "raw/s": whole(summarize(slices.raw64).median),
      "typed/s": whole(summarize(typed64).median),
      "Worker/s": whole(summarize(worker64).median),
      "typed / Worker": fixed(ofWorker, 1),
      ...(ipc64.length > 0 && {
        "IPC/s": whole(summarize(ipc64).median),
        "typed / IPC": fixed(ofIpc, 1),
      }),
    };
    if (ipc64.length > 0) {
      bars.push({
        what: `${runtime}: 64 outstanding, ${fixed(ofIpc, 1)} × the runtime's IPC ≥ 3`,
        met: ofIpc >= 3,
      });
    }
    bars.push({
      what: `${runtime}: 64 outstanding, ${fixed(ofWorker, 1)} × Worker ≥ 4`,
      met: ofWorker >= 4,
    });
  }
  for (const runtime of runtimes) {
    const { rate, client, server, committed } = await measureStream(runtime);
    streams[runtime] = {
      "GB/s": fixed(rate),
      "client grew by, MiB": fixed(client / 2 ** 20, 1),
      "server grew by, MiB": fixed(server / 2 ** 20, 1),
      "shared memory, MiB": fixed(committed / 2 ** 20, 2),
    };
    bars.push(
      {
        what: `${runtime}: streams ${fixed(rate)} GB/s ≥ ${streamBars[runtime]}`,
        met: rate >= streamBars[runtime],
      },
      {
        what: `${runtime}: private memory grows by ${
          fixed(Math.max(client, server) / 2 ** 20, 1)
        } MiB ≤ 32`,
        met: Math.max(client, server) <= privateBarBytes,
      },
      {
        what: `${runtime}: ${fixed(committed / 2 ** 20, 2)} MiB of shared memory more ≤ 8`,
        met: committed <= committedBarBytes,
      },
    );
  }
  console.log(`calls of two numbers, one outstanding, slices of ${sliceMs} ms, in microseconds`);
  console.table(calls);
  console.log(
    "microseconds more than a plain call: median of the differences of neighbouring slices",
  );
  console.table(extras);
  console.log("calls of two numbers, 64 outstanding, median of the slices");
  console.table(outstanding);
  console.log("1 GiB in pieces of 64 KiB, from a generator");
  console.table(streams);
  judge(bars, options);
}

/** Compares slices that follow one another. */
function judgeOverhead(slices: Slices): { overhead: number; row: unknown } {
  const microseconds = (perSecond: number) => 1e6 / perSecond;
  const differences = slices.typed.map((typed, index) =>
    microseconds(typed) - microseconds(slices.raw[index]!)
  );
  const { median, q1, q3 } = summarize(differences);
  const raw = summarize(slices.raw.map(microseconds));
  const typed = summarize(slices.typed.map(microseconds));
  return {
    overhead: median,
    row: {
      raw: fixed(raw.median),
      typed: fixed(typed.median),
      "raw best": fixed(raw.min),
      "typed best": fixed(typed.min),
      "difference q1": fixed(q1),
      difference: fixed(median),
      "difference q3": fixed(q3),
    },
  };
}

/** What metadata and `around` add to a call, in microseconds. */
function judgeExtras(slices: Slices): [Readonly<Record<string, number>>, unknown] {
  const { typed, metadata, clientAround, serviceAround } = slices;
  const all = {
    metadata,
    "around of the client": clientAround,
    "around of the service": serviceAround,
  };
  const found = Object.entries(all).map(([name, rates]) => {
    const differences = rates.map((rate, slice) => 1e6 / rate - 1e6 / typed[slice]!);
    return [name, summarize(differences).median] as const;
  });
  return [
    Object.fromEntries(found),
    Object.fromEntries(found.map(([name, median]) => [name, fixed(median)])),
  ];
}

/** The median ratio of slices that follow one another. */
function ratio(own: readonly number[], others: readonly number[]): number {
  return summarize(own.map((rate, slice) => rate / others[slice]!)).median;
}

async function measureCalls(runtime: Runtime, slices: number): Promise<Slices> {
  using raw = new Target("raw");
  using typed = new Target("typed");
  using around = new Target("around");
  const names = [raw.name, typed.name, around.name];
  await using server = Child.of(runtime, new URL("typed/server.ts", import.meta.url), names);
  await server.receive();
  const args = [...names, `${slices}`, `${sliceMs}`];
  await using client = Child.of(runtime, new URL("typed/client.ts", import.meta.url), args);
  return await client.receive<Slices>();
}

interface Stream {
  /** GB a second. */
  readonly rate: number;
  /** The most bytes by which each side's private memory grew. */
  readonly client: number;
  readonly server: number;
  /** The most bytes by which the shared memory grew. */
  readonly committed: number;
}

async function measureStream(runtime: Runtime): Promise<Stream> {
  using raw = new Target("raw");
  using typed = new Target("typed");
  const names = [raw.name, typed.name];
  await using server = Child.of(runtime, new URL("typed/server.ts", import.meta.url), names);
  const path = await server.receive<string>();
  const args = [typed.name, `${pieceBytes}`, `${streamBytes}`];
  await using client = Child.of(runtime, new URL("typed/stream_client.ts", import.meta.url), args);
  // The client has read a little, so that both processes have the memory that they always need.
  await client.receive();
  const before = [privateBytes(client.pid), privateBytes(server.pid), committedBytes(path)];
  let most = before;
  const watch = setInterval(() => {
    const now = [privateBytes(client.pid), privateBytes(server.pid), committedBytes(path)];
    most = most.map((value, index) => Math.max(value, now[index]!));
  }, 20);
  client.send("go");
  try {
    const { seconds, bytes } = await client.receive<Streamed>();
    const [grownClient, grownServer, committed] = most.map((value, index) =>
      value - before[index]!
    );
    return {
      rate: bytes / 1e9 / seconds,
      client: grownClient!,
      server: grownServer!,
      committed: committed!,
    };
  } finally {
    clearInterval(watch);
  }
}

/** The anonymous memory of a process. */
function privateBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** The real memory of a channel and of its private channels. */
function committedBytes(path: string): number {
  const folder = `${path}.bells`;
  const files = [path, ...readdirSync(folder).map((name) => `${folder}/${name}`)];
  const blockBytes = 512;
  return files.reduce((sum, file) => sum + statSync(file).blocks * blockBytes, 0);
}
