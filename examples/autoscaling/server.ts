/**
 * Keeps one worker, and starts up to seven more while too many requests wait for the present workers. The
 * additional workers end by themselves when they have nothing to do.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Client, Server } from "@tandem/ipc";

const workersMax = 8;
const queuedPerWorkerMax = 5;

// A second channel, for messages to this process instead of a worker.
using control = Server.open("example-autoscaling-control");
// A client can read the statistics of the channel.
using channel = Client.open("example-autoscaling", { create: {} });

const workers = new Set<ChildProcess>();
let mostWorkers = 0;

start(Infinity);
const timer = setInterval(() => {
  const { queued } = channel.stats();
  if (queued > workers.size * queuedPerWorkerMax && workers.size < workersMax) start(200);
}, 20);

await control.receive(); // Any message ends the program.
clearInterval(timer);
await Promise.all([...workers].map((worker) => {
  worker.stdin!.end();
  return once(worker, "exit");
}));
console.log(`${mostWorkers} workers at most`);
for (const { path } of [control, channel]) Server.unlink(path!);

function start(idleMilliseconds: number): void {
  const file = fileURLToPath(new URL("worker.ts", import.meta.url));
  // Runs in the runtime of this process. Nothing is written to the pipe: it closes when this process ends,
  // even if it is killed, and then the worker ends.
  const worker = spawn(process.execPath, [...process.execArgv, file, String(idleMilliseconds)], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  workers.add(worker);
  mostWorkers = Math.max(mostWorkers, workers.size);
  worker.once("exit", () => workers.delete(worker));
}
