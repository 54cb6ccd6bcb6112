/**
 * Doors for ZeroMQ between hostile, hasty and broken clients, workers that are killed, and channels that go away. What
 * each scene asserts stands in its file in `zmq/`.
 *
 *     bun tests/faults/zmq.ts [--full] [--seed N] [SCENE...]
 *
 * The clients are those of pyzmq and of the package `zeromq`. The doors run in other processes, in each runtime in turn.
 * --full has the numbers that RELIABILITY.md names. Any runtime can run it.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { churn } from "./zmq/churn.ts";
import { flood } from "./zmq/flood.ts";
import { garbage } from "./zmq/garbage.ts";
import { hasty } from "./zmq/hasty.ts";
import { lazy } from "./zmq/lazy.ts";
import { notes } from "./zmq/notes.ts";
import { removal } from "./zmq/removal.ts";
import { restart } from "./zmq/restart.ts";
import { silence } from "./zmq/silence.ts";
import { storm } from "./zmq/storm.ts";
import { ZmqStage } from "./zmq/stage.ts";

const scenes: Readonly<Record<string, (stage: ZmqStage) => Promise<string>>> = {
  storm,
  flood,
  lazy,
  hasty,
  garbage,
  silence,
  churn,
  restart,
  removal,
  notes,
};

const { isFull, seed, names } = readOptions();
console.log(`zmq: seed ${seed}`);
let passed = 0;
let failed = 0;
for (const [stream, name] of Object.keys(scenes).entries()) {
  if (!names.includes(name)) continue;
  const began = performance.now();
  const stage = new ZmqStage({ seed, isFull, runtimes: ["bun"] }, stream);
  try {
    const summary = await scenes[name]!(stage);
    await stage.end();
    passed += 1;
    console.log(`  ${name}, ${Math.round((performance.now() - began) / 1000)} s: ${summary}`);
  } catch (error) {
    await stage.abandon();
    failed += 1;
    console.log(`\nFAILED: ${name} with seed ${seed}: ${(error as Error).stack}`);
  }
}
console.log(`zmq: ${passed} passed, ${failed} failed`);
// What a failed scene has left would keep the process alive.
process.exit(failed === 0 ? 0 : 1);

function readOptions(): { isFull: boolean; seed: number; names: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: { full: { type: "boolean", default: false }, seed: { type: "string" } },
      allowPositionals: true,
    });
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    if (!Number.isSafeInteger(seed)) throw new Error("--seed: give a whole number");
    for (const name of positionals) {
      if (!scenes[name]) throw new Error(`no scene is called ${name}`);
    }
    const names = positionals.length > 0 ? positionals : Object.keys(scenes);
    return { isFull: values.full, seed, names };
  } catch (error) {
    console.error(`zmq: ${(error as Error).message}`);
    console.error("usage: bun tests/faults/zmq.ts [--full] [--seed N] [SCENE...]");
    process.exit(2);
  }
}
