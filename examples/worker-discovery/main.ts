/**
 * Has work for workers, of which one comes late, one is killed, and one quits.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Server } from "@tandem/ipc";
import { Node } from "@tandem/ipc/node";
import { Dispatcher } from "./dispatcher.ts";
import type { Worker } from "./worker.ts";

const group = "example-worker-discovery";
const step = 20_000;
{
  await using node = await Node.start({ name: "dispatcher", group });
  using dispatcher = new Dispatcher(node);

  // Nobody is there yet. The job waits.
  const early = dispatcher.count(0, step);
  const first = startWorker();
  console.log(`primes below ${step}: ${await early}`);

  const second = startWorker();
  await countWorkers(node, 2);
  console.log("two workers are there");

  const counts = Array.from(
    { length: 20 },
    (_, index) => dispatcher.count(index * step, (index + 1) * step),
  );
  await Promise.race(counts);
  first.kill("SIGKILL");
  const total = (await Promise.all(counts)).reduce((sum, count) => sum + count);
  console.log(`primes below ${20 * step}: ${total}`);
  console.log(`jobs that were sent again, because their worker had died: ${dispatcher.sentAgain}`);

  const quit = once(second, "exit");
  for (const worker of await node.registry.keys("workers")) node.send<Worker>(worker, "quit");
  await countWorkers(node, 0);
  console.log("no worker is there");
  await quit;
}
// The group's file stays for the next node. Nobody comes any more.
Server.unlink(`${group}.nodes`);

/** Starts worker.ts in the runtime of this process. */
function startWorker(): ChildProcess {
  const file = fileURLToPath(new URL("worker.ts", import.meta.url));
  return spawn(process.execPath, [...process.execArgv, file], { stdio: "inherit" });
}

/** Resolves when so many workers are there. */
async function countWorkers(node: Node, count: number): Promise<void> {
  for await (const { entries } of node.registry.watch("workers")) {
    if (entries.size === count) return;
  }
}
