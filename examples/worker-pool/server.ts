/**
 * Keeps four worker processes running on one channel. It hands out no work: a free worker takes the next
 * request.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Server } from "@tandem/ipc";

const workers = new Set<ChildProcess>();
const finished = Promise.withResolvers<void>();
let crashes = 0;

for (let number = 0; number < 4; number++) start();
await finished.promise;
console.log(`the pool has ended; workers that crashed: ${crashes}`);
Server.unlink("example-worker-pool");

function start(): void {
  const file = fileURLToPath(new URL("worker.ts", import.meta.url));
  // Runs in the runtime of this process. Nothing is written to the pipe: it closes when this process ends,
  // even if it is killed, and then the worker ends.
  const worker = spawn(process.execPath, [...process.execArgv, file], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  workers.add(worker);
  worker.once("exit", (code) => {
    workers.delete(worker);
    if (code === 0) {
      // The worker got "quit", so the others end, too.
      for (const other of workers) other.stdin!.end();
    } else if (++crashes <= 10) { // stops if workers cannot even start
      start();
    }
    if (workers.size === 0) finished.resolve();
  });
}
