/**
 * Measures how soon a standby has the lock of a holder that was killed: from the SIGKILL to the JavaScript of
 * the standby.
 *
 *     bun bench/takeover.ts [--check] [--kills N]
 *
 * Each standby that has taken over is the holder whom the next kill hits. This process takes the time right
 * before the kill, and the standby takes it when it has the lock; both read CLOCK_MONOTONIC (lib/clock.ts). The
 * figure includes the time that the kernel takes to end the process. Before the kill the standby waits for a
 * random time, longer than its waits take to reach their full length.
 *
 * @module
 */
import { Limit } from "../src/limit/main.ts";
import type { Acquired, Form } from "./limit/messages.ts";
import { machineNow } from "./lib/clock.ts";
import { KillReport } from "./lib/kills.ts";
import { judge, parseOptions } from "./lib/options.ts";
import { Child } from "./lib/parent.ts";
import { type Runtime, runtimes } from "./lib/runtimes.ts";
import { Stage } from "./lib/stage.ts";
import { summarize, type Summary } from "./lib/stats.ts";

/** How a standby waits. */
export const takeoverForms: readonly Form[] = ["promise", "blocking"];

/** The median that each form must reach, in milliseconds. */
export const takeoverBarMs = 10;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const options = parseOptions("kills", 200);
  const report = new KillReport(takeoverBarMs);
  for (const runtime of runtimes) {
    for (const form of takeoverForms) {
      report.add(`${runtime}, ${form}`, await measureTakeovers(runtime, form, options.count));
    }
  }
  console.log("milliseconds from the SIGKILL of a holder to the standby's next line of JavaScript");
  console.table(report.rows);
  judge(report.bars, options);
}

/** Kills so many holders. Returns the milliseconds until their standbys have the lock. */
export async function measureTakeovers(
  runtime: Runtime,
  form: Form,
  kills: number,
): Promise<Summary> {
  await using stage = new Stage();
  using limit = new Limit(stage.path("limit"), { max: 1 });
  const latencies: number[] = [];
  let holder = await start(runtime, limit, form);
  await holder.receive<Acquired>();
  try {
    for (let kill = 0; kill < kills; kill++) {
      const standby = await start(runtime, limit, form);
      try {
        while (limit.waiters().length === 0) await sleep(1);
        await sleep(100 + Math.random() * 50);
        const killedAt = machineNow();
        holder.kill();
        const { at } = await standby.receive<Acquired>();
        latencies.push(at - killedAt);
      } finally {
        await holder[Symbol.asyncDispose]();
        holder = standby;
      }
    }
  } finally {
    await holder[Symbol.asyncDispose]();
  }
  return summarize(latencies);
}

async function start(runtime: Runtime, limit: Limit, form: Form): Promise<Child> {
  const module = new URL("limit/contender.ts", import.meta.url);
  const child = Child.of(runtime, module, [limit.target, form]);
  await child.receive();
  return child;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
