/**
 * Measures the cost of waiting when nothing happens: the processor time and the wake-ups of processes that
 * wait on a channel, beside a process of the same runtime that serves a Unix socket with a silent client.
 * All wait at the same time.
 *
 *     bun bench/idle.ts [--check] [--seconds N]
 *
 * @module
 */
import { rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { type Bar, judge, parseOptions } from "./lib/options.ts";
import { Child } from "./lib/parent.ts";
import { type Runtime, runtimes } from "./lib/runtimes.ts";
import { fixed } from "./lib/stats.ts";
import { Target } from "./lib/target.ts";
import { type Usage, watchUsage } from "./lib/usage.ts";
import { Server } from "../mod.ts";

/** How a process waits; see idle/waiter.ts. */
export type Wait =
  | "receive()"
  | "hold, receive()"
  | "client, open"
  | "client, request()"
  | "receiveSync()"
  | "Unix socket";

/** The ways of waiting. All are compared with the last one. */
const waits: readonly Wait[] = [
  "receive()",
  "hold, receive()",
  "client, open",
  "client, request()",
  "receiveSync()",
  "Unix socket",
];

/** How much more than the socket's process an idle process may use. */
export const marginMsPerSecond: number = 1;
const marginWakeupsPerSecond = 2;

interface Waiting {
  readonly runtime: Runtime;
  readonly wait: Wait;
  readonly pid: number;
}

if (import.meta.main) await main();

/** How much more than the socket's process a waiting process has used. */
export interface Excess {
  /** The runtime and the way of waiting. */
  readonly name: string;
  readonly runtime: Runtime;
  /** Milliseconds of processor time a second. */
  readonly msPerSecond: number;
  readonly wakeupsPerSecond: number;
}

/** The figures for the report, and those with a bar. */
export interface Idleness {
  readonly rows: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly excesses: readonly Excess[];
}

async function main(): Promise<void> {
  const options = parseOptions("seconds", 10);
  const { rows, excesses } = await measureIdle(options.count);
  console.log(`used in ${options.count} s of waiting`);
  console.table(rows);
  judge(excesses.map(barOf), options);
}

/** Measures what all processes use in so many seconds of waiting. */
export async function measureIdle(seconds: number): Promise<Idleness> {
  await using stack = new AsyncDisposableStack();
  const waiting: Waiting[] = [];
  for (const runtime of runtimes) waiting.push(...await startAll(runtime, stack));
  // Compilers and collectors still work after the start.
  await sleep(3_000);
  const watches = waiting.map(({ pid }) => watchUsage(pid));
  await sleep(seconds * 1e3);
  const used = watches.map((usage) => usage());

  const rows: Record<string, Record<string, string>> = {};
  const excesses: Excess[] = [];
  waiting.forEach(({ runtime, wait }, index) => {
    const usage = used[index]!;
    const name = `${runtime}, ${wait}`;
    rows[name] = {
      "user + system, ms": `${usage.cpuMs}`,
      "ran, ms": fixed(usage.ranMs, 2),
      "wake-ups": `${usage.wakeups}`,
      "of all threads": `${usage.allWakeups}`,
    };
    // A blocking wait looks for deaths in slices; the socket is the reference.
    if (wait === "receiveSync()" || wait === "Unix socket") return;
    const socket = waiting.findIndex((other) =>
      other.runtime === runtime && other.wait === "Unix socket"
    );
    excesses.push({ name, runtime, ...excessOf(usage, used[socket]!, seconds) });
  });
  return { rows, excesses };
}

/**
 * Starts the processes of one runtime. Servers with and without a call use different channels.
 */
async function startAll(runtime: Runtime, stack: AsyncDisposableStack): Promise<Waiting[]> {
  const quiet = stack.use(new Target("idle"));
  const busy = stack.use(new Target("idle"));
  for (const { name } of [quiet, busy]) Server.create(name).close();
  const blocking = stack.use(new Target("idle"));
  const path = `${tmpdir()}/${quiet.name}.sock`;
  stack.defer(() => rmSync(path, { force: true }));
  const targets: Record<Wait, string> = {
    "receive()": quiet.name,
    "hold, receive()": busy.name,
    "client, open": quiet.name,
    "client, request()": busy.name,
    "receiveSync()": blocking.name,
    "Unix socket": path,
  };
  const waiting: Waiting[] = [];
  for (const wait of waits) {
    const module = new URL("idle/waiter.ts", import.meta.url);
    const child = stack.use(Child.of(runtime, module, [wait, targets[wait]]));
    await child.receive();
    if (wait === "Unix socket") connectTo(path, stack);
    waiting.push({ runtime, wait, pid: child.pid });
  }
  return waiting;
}

/** Connects a silent client to the socket. The channel has one, too. */
function connectTo(path: string, stack: AsyncDisposableStack): void {
  const connection = createConnection(path);
  stack.defer(() => void connection.destroy());
}

function excessOf(
  usage: Usage,
  socket: Usage,
  seconds: number,
): Pick<Excess, "msPerSecond" | "wakeupsPerSecond"> {
  const ms = Number.isNaN(usage.ranMs) ? usage.cpuMs - socket.cpuMs : usage.ranMs - socket.ranMs;
  const wakeups = usage.wakeups - socket.wakeups;
  return { msPerSecond: ms / seconds, wakeupsPerSecond: wakeups / seconds };
}

function barOf({ name, msPerSecond, wakeupsPerSecond }: Excess): Bar {
  const above = `${fixed(msPerSecond, 2)} ms and ${fixed(wakeupsPerSecond, 1)} wake-ups a second`;
  return {
    what: `${name}: ${above} above the socket's ` +
      `≤ ${marginMsPerSecond} ms and ${marginWakeupsPerSecond}`,
    met: msPerSecond <= marginMsPerSecond && wakeupsPerSecond <= marginWakeupsPerSecond,
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
