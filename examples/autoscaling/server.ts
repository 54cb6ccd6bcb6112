/**
 * Keeps one worker, and starts more, up to eight, while more requests wait than the workers there
 * are can soon do. Those end by themselves when they have nothing to do.
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

// A channel of its own for what is said to this process, and not to any worker.
using control = Server.open("example-autoscaling-control");
// To look at the other one need not serve it.
using channel = Client.open("example-autoscaling", { create: {} });

const workers = new Set<ChildProcess>();
let mostWorkers = 0;

start(Infinity);
const timer = setInterval(() => {
  const { queued } = channel.stats();
  if (queued > workers.size * queuedPerWorkerMax && workers.size < workersMax) start(200);
}, 20);

await control.receive(); // Whatever it says: it is over.
clearInterval(timer);
await Promise.all([...workers].map((worker) => {
  worker.stdin!.end();
  return once(worker, "exit");
}));
console.log(`${mostWorkers} workers at most`);
for (const { path } of [control, channel]) Server.unlink(path!);

function start(idleMilliseconds: number): void {
  const file = fileURLToPath(new URL("worker.ts", import.meta.url));
  // In whichever runtime this is; Bun passes over Deno's flag. The pipe is never written to: it
  // closes when this process ends, however it does, and then so does the worker.
  const worker = spawn(process.execPath, ["run", "--allow-ffi", file, String(idleMilliseconds)], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  workers.add(worker);
  mostWorkers = Math.max(mostWorkers, workers.size);
  worker.once("exit", () => workers.delete(worker));
}
