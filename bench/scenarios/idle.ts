/**
 * Measures the cost of a channel while nothing happens.
 *
 * @module
 */
import { statSync } from "node:fs";
import { Client, Server } from "../../mod.ts";
import { marginMsPerSecond, measureIdle } from "../idle.ts";
import {
  type Bar,
  type Context,
  type Outcome,
  type Scenario,
  significant,
  type Table,
} from "../lib/outcome.ts";
import { runtimes } from "../lib/runtimes.ts";
import { Stage } from "../lib/stage.ts";
import { whole } from "../lib/stats.ts";

export const scenario: Scenario = {
  name: "idle",
  title: "An idle channel",
  about:
    "The real memory of a channel of default size, as the file system counts it; and the processor time of " +
    "waiting processes, above a process that serves a silent Unix socket (`bench/idle.ts`).",
  run,
};

async function run(context: Context): Promise<Outcome> {
  const memory = await measureMemory();
  const { rows, excesses } = await measureIdle(context.isShort ? 2 : 10);
  const cpu = runtimes.map((runtime): Bar => {
    const own = excesses.filter((excess) => excess.runtime === runtime);
    return {
      what: `idle, ${runtime}, worst way of waiting, ms of CPU a second above the Unix socket's`,
      measured: Math.max(...own.map(({ msPerSecond }) => msPerSecond)),
      isLimit: true,
      must: marginMsPerSecond,
      write: significant,
    };
  });
  const used = Object.entries(rows).map(([name, row]) => ({ "": name, ...row }));
  return {
    tables: [memory.table, { title: "Waiting processes", rows: used }],
    bars: [memory.bar, ...cpu],
  };
}

async function measureMemory(): Promise<{ table: Table; bar: Bar }> {
  await using stage = new Stage();
  const path = stage.path("tandem");
  using server = Server.create(path);
  using client = Client.open(path);
  const rows: Record<string, string>[] = [];
  const note = (state: string): number => {
    const kibi = statSync(path).blocks * 512 / 1024;
    rows.push({ state, "KiB of real memory": whole(kibi) });
    return kibi;
  };
  const callConcurrently = (count: number, bytes: number): void => {
    const payload = new Uint8Array(bytes);
    const calls = Array.from({ length: count }, () => client.trySend(payload));
    for (const request of server.tryReceiveMany(count)) request.reply(request.bytes);
    for (const call of calls) {
      if (call?.tryGet()?.byteLength !== bytes) throw new Error("Not an echo");
    }
  };
  note("a server and a client are attached");
  callConcurrently(1, 12);
  const idle = note("after a call of 12 bytes");
  callConcurrently(64, 12);
  note("after 64 such calls at once");
  callConcurrently(client.slots, 12);
  note(`after all ${client.slots} slots were used at once`);
  callConcurrently(1, 1024 * 1024);
  note("after a call of 1 MiB");
  callConcurrently(8, 1024 * 1024);
  note("after 8 such calls at once");
  const bar: Bar = {
    what: "idle channel of default size, after a call, KiB of real memory",
    measured: idle,
    isLimit: true,
    must: 256,
    goal: 64,
    write: whole,
  };
  return { table: { title: "Real memory of a channel of default size", rows }, bar };
}
