/**
 * Keeps four worker processes running on one channel. It hands out no work: whichever worker is free
 * takes the next request.
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
  // The runtime that this process runs on; Bun passes over Deno's flag. The pipe is never written
  // to: that it closes, be it because this process was killed, tells the worker to end.
  const worker = spawn(process.execPath, ["run", "--allow-ffi", file], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  workers.add(worker);
  worker.once("exit", (code) => {
    workers.delete(worker);
    if (code === 0) {
      // It was told to quit: so are the others.
      for (const other of workers) other.stdin!.end();
    } else if (++crashes <= 10) { // one that cannot even start is not tried for ever
      start();
    }
    if (workers.size === 0) finished.resolve();
  });
}
