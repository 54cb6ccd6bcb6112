/**
 * Shrinks pictures in a pool, and survives a bug in a worker.
 *
 * @module
 */
import process from "node:process";
import { TandemError, withOptions } from "@tandem/ipc";
import { type LogRecord, Pool, type WorkerExit } from "@tandem/ipc/pool";
import { decode, encode } from "fast-png";
import type { Thumbnails } from "./worker.ts";

const pool = new Pool<Thumbnails>(new URL("./worker.ts", import.meta.url), {
  min: 2,
  max: 2,
  runtimeArgs: { node: process.execArgv },
});
const records: LogRecord[] = [];
const exits: WorkerExit[] = [];
pool.onLog((record) => void records.push(record));
pool.onWorker(({ exit }) => exit && void exits.push(exit));

const picture = paint(1024, 768);
const widths = [512, 256, 128, 64, 32, 16];
const made = await Promise.all(widths.map((width) => pool.call.shrink(picture, width)));
console.log("widths:", made.map((png) => decode(png).width).join(" "));

// The worker has a bug: with a width below 0 it never ends. The call ends in time, and its worker is replaced.
try {
  await withOptions(pool.call, { timeout: 2_000 }).shrink(picture, -1);
} catch (error) {
  if (!(error instanceof TandemError)) throw error;
  console.log("a call that never ends:", error.code);
}
const next = await Promise.all(widths.map((width) => pool.call.shrink(picture, width)));
console.log(`${next.length} more pictures`);

await pool.close();
// Records may come a moment after the answers, but before the pool has closed.
const timed = records.filter(({ timers: [timer] }) => timer?.name === "decode");
console.log(`${records.length} records, ${timed.length} with the time of decoding`);
const killed = exits.filter(({ reason }) => reason === "timeout");
console.log(`killed because of a timeout: ${killed.length} worker`);

/** Makes a picture with a gradient. */
function paint(width: number, height: number): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data.set([x / width * 256, y / height * 256, 128], (y * width + x) * 3);
    }
  }
  return encode({ width, height, data, channels: 3, depth: 8 });
}
