/**
 * What waiting costs when nothing happens: processor time and wake-ups of processes that wait on a
 * channel, beside one that serves a Unix socket of the same runtime, with a client that is
 * connected and silent. All wait at the same time.
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

/** What is measured in each runtime; the last is what the others are compared with. */
const waits: readonly Wait[] = [
  "receive()",
  "hold, receive()",
  "client, open",
  "client, request()",
  "receiveSync()",
  "Unix socket",
];

/** How much more than the socket's process a process may use and still count as idle. */
export const marginMsPerSecond: number = 1;
const marginWakeupsPerSecond = 2;

interface Waiting {
  readonly runtime: Runtime;
  readonly wait: Wait;
  readonly pid: number;
}

if (import.meta.main) await main();

/** What a process that waits has used beyond the one with the socket. */
export interface Excess {
  /** Runtime and wait. */
  readonly name: string;
  readonly runtime: Runtime;
  /** Milliseconds of processor time a second. */
  readonly msPerSecond: number;
  readonly wakeupsPerSecond: number;
}

/** What was used, for the reader, and what of it is held to a bar. */
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

/** What all processes use in so many seconds of waiting, by runtime and wait. */
export async function measureIdle(seconds: number): Promise<Idleness> {
  await using stack = new AsyncDisposableStack();
  const waiting: Waiting[] = [];
  for (const runtime of runtimes) waiting.push(...await startAll(runtime, stack));
  // What starting leaves to be done (compilers, collectors) is not waiting.
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
    // A blocking wait looks at the holder in slices and the socket is what it is compared with.
    if (wait === "receiveSync()" || wait === "Unix socket") return;
    const socket = waiting.findIndex((other) =>
      other.runtime === runtime && other.wait === "Unix socket"
    );
    excesses.push({ name, runtime, ...excessOf(usage, used[socket]!, seconds) });
  });
  return { rows, excesses };
}

/**
 * The processes of one runtime, on channels of their own: two, as a call in hand occupies a server.
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

/** The socket has a client that says nothing, as the channel has. */
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
