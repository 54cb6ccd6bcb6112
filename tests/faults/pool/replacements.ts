/**
 * Workers are replaced over and over: by kills, by orderly exits in a call, by `maxCalls`. Descriptors and memory of the
 * supervisor stay level.
 *
 * @module
 */
import process from "node:process";
import { check, descriptors, residentBytes, type Stage, until } from "./stage.ts";

/** Garbage and caches of the runtime move by so much. */
const noiseBytes = 24 << 20;
/** A client connects to workers that it watches when it next waits, so some connections may not be there yet. */
const noiseDescriptors = 6;

export async function replacements(stage: Stage): Promise<string> {
  const wanted = stage.size(1_000, 40);
  const pool = stage.pool({ min: 2, max: 2, maxCalls: 3, idempotent: true });
  let exits = 0;
  pool.onWorker(({ kind }) => void (kind === "exited" && (exits += 1)));
  await pool.ready;
  const level = async () => {
    await until(
      () => {
        // One that is on its way out, or in, has descriptors, too.
        const workers = pool.workers();
        return workers.length === 2 && workers.every(({ state }) => state === "idle");
      },
      "two idle workers are left",
    );
    return { descriptors: descriptors(), bytes: residentBytes() };
  };
  const replace = async (all: number) => {
    for (let id = 0; exits < all; id++) {
      const ready = pool.workers().filter(({ state }) => state === "idle" || state === "busy");
      if (id % 4 === 0 && ready.length > 0) kill(stage.random.pick(ready).pid);
      check(await pool.call.again(id, 0) === id, "a wrong result");
    }
  };
  await replace(wanted / 4);
  const first = await level();
  await replace(wanted);
  const last = await level();
  // Some are closed a moment after their worker has gone.
  await until(
    () => descriptors() <= first.descriptors + noiseDescriptors,
    `about as few descriptors as before, ${first.descriptors}; there are ${last.descriptors}`,
  );
  const grown = last.bytes - first.bytes;
  check(grown < noiseBytes, `the memory has grown by ${grown >> 10} KB`);
  await pool.close();
  return `${exits} workers replaced: descriptors ${first.descriptors} then ${descriptors()}, ` +
    `memory ${first.bytes >> 10} KB then ${last.bytes >> 10} KB`;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}
