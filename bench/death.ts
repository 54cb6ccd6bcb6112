/**
 * Measures how long a client waits for a dead server: from the SIGKILL to the error, or to the answer of
 * the next server.
 *
 *     bun bench/death.ts [--check] [--kills N]
 *
 * Two servers have the channel open. One takes the request, keeps it and is killed. With one delivery the
 * client gets SERVER_DIED; with two, the other server answers. A blocking client has blocking servers, and
 * a client that waits for promises has servers that wait for promises.
 *
 * This process takes the time right before the kill, and the client takes it when the call ends. Both read
 * CLOCK_MONOTONIC (lib/clock.ts), which is the same for the whole machine. The figure includes the time
 * that the kernel takes to end the process. Before the kill the client waits for a random time, longer
 * than its waits take to reach their full length, so that the kill falls anywhere between two looks.
 *
 * @module
 */
import process from "node:process";
import type { Ended, Form, Holding, Outcome } from "./death/messages.ts";
import { machineNow } from "./lib/clock.ts";
import { KillReport } from "./lib/kills.ts";
import { judge, parseOptions } from "./lib/options.ts";
import { Child } from "./lib/parent.ts";
import { type Runtime, runtimes } from "./lib/runtimes.ts";
import { summarize } from "./lib/stats.ts";
import { Target } from "./lib/target.ts";
import { Server } from "../mod.ts";

/** A server, and its message that it has taken a request. */
interface Victim {
  readonly child: Child;
  readonly holding: Promise<Holding>;
}

const barMs = 50;

await main();

async function main(): Promise<void> {
  const options = parseOptions("kills", 50);
  const report = new KillReport(barMs);
  for (const client of runtimes) {
    for (const form of ["blocking", "promise"] as const) {
      for (const outcome of ["error", "redelivery"] as const) {
        const times = await measure(client, form, outcome, options.count);
        report.add(`${client}, ${form}, ${outcome}`, summarize(times));
      }
    }
  }
  console.log("milliseconds from the SIGKILL of a server to the end of the call");
  console.table(report.rows);
  judge(report.bars, options);
}

async function measure(
  runtime: Runtime,
  form: Form,
  outcome: Outcome,
  kills: number,
): Promise<number[]> {
  using target = new Target("death");
  Server.create(target.name, { maxDeliveries: outcome === "error" ? 1 : 2 }).close();
  await using client = await start(runtime, "client", target, form);
  const servers = new Map<number, Victim>();
  try {
    const latencies: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      // Servers of all runtimes replace the dead ones in turn.
      while (servers.size < 2) {
        const child = await start(
          runtimes[(kill + servers.size) % runtimes.length]!,
          "server",
          target,
          form,
        );
        const holding = child.receive<Holding>();
        holding.catch(() => {}); // it may end without a request
        servers.set(child.pid, { child, holding });
      }
      latencies.push(await killOne(client, servers, outcome));
    }
    return latencies;
  } finally {
    for (const { child } of servers.values()) await child[Symbol.asyncDispose]();
  }
}

async function start(
  runtime: Runtime,
  role: "client" | "server",
  target: Target,
  form: Form,
): Promise<Child> {
  const child = Child.of(runtime, new URL(`death/${role}.ts`, import.meta.url), [
    target.name,
    form,
  ]);
  await child.receive();
  return child;
}

/** Kills the server of one call. Returns the time until the call ends. */
async function killOne(
  client: Child,
  servers: Map<number, Victim>,
  outcome: Outcome,
): Promise<number> {
  client.send("call");
  const { holder } = await Promise.race(Array.from(servers.values(), ({ holding }) => holding));
  await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 50));
  const killedAt = machineNow();
  process.kill(holder, "SIGKILL");
  const ended = await client.receive<Ended>();
  if (ended.outcome !== outcome) throw new Error(`The call ended in ${ended.outcome}`);
  await servers.get(holder)?.child.ended;
  servers.delete(holder);
  return ended.at - killedAt;
}
