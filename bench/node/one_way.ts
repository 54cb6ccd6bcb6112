/**
 * Measures messages one way between two nodes in two processes, against NATS on this machine.
 *
 *     bun bench/node/one_way.ts [--runs N] [--count N] [--bytes N] [--runtime NAME] [--only hall]
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { hasNats, startNats } from "../lib/nats.ts";
import { Child } from "../lib/parent.ts";
import type { Runtime } from "../lib/runtimes.ts";
import type { Run } from "./end.ts";

const module = new URL("./end.ts", import.meta.url);

function option(name: string, standard: string): string {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : process.argv[at + 1] ?? standard;
}

const runs = Number(option("runs", "5"));
const count = option("count", "300000");
const bytes = option("bytes", "100");
const chosen = option("runtime", "");
const runtimes = (["bun", "deno"] as Runtime[]).filter((each) => !chosen || each === chosen);

/** Messages a second, each run. */
async function measure(runtime: Runtime, way: string, address: string): Promise<number[]> {
  await using receiver = Child.of(runtime, module, [way, "receive", address]);
  await receiver.receive();
  await using sender = Child.of(runtime, module, [way, "send", address, count, bytes]);
  await sender.receive();
  const rates: number[] = [];
  for (let run = 0; run < runs; run++) {
    sender.send("run");
    const { messages, ms, outOfOrder } = await receiver.receive<Run>();
    if (outOfOrder > 0 || messages !== Number(count) + 1) {
      console.error("wrong:", messages, outOfOrder);
    }
    rates.push(messages / ms * 1000);
  }
  return rates;
}

const median = (numbers: number[]): number =>
  numbers.toSorted((one, other) => one - other)[numbers.length >> 1]!;
const text = (rate: number): string => `${(rate / 1e6).toFixed(2)} M/s`;

const folder = mkdtempSync(join(tmpdir(), "tandem-bench-"));
process.env.TANDEM_DIR = join(process.env.TANDEM_DIR ?? "/dev/shm", "bench-nodes");
const ends: (() => unknown)[] = [];
const stage = {
  path: (name: string) => join(folder, name),
  defer: (end: () => unknown) => void ends.push(end),
};
try {
  const nats = hasNats && option("only", "") !== "hall" ? await startNats(stage as never) : null;
  for (const runtime of runtimes) {
    const hall = await measure(runtime, "hall", `bench-${process.pid}`);
    console.log(runtime, "hall", hall.map(text).join(" "));
    if (!nats) continue;
    const other = await measure(runtime, "nats", nats);
    console.log(runtime, "NATS", other.map(text).join(" "));
    console.log(runtime, "hall / NATS:", (median(hall) / median(other)).toFixed(2));
  }
} finally {
  for (const end of ends.toReversed()) await end();
  rmSync(folder, { recursive: true, force: true });
  rmSync(process.env.TANDEM_DIR!, { recursive: true, force: true });
}
