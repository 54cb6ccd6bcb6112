/**
 * Pools whose workers and supervisors are killed, and whose calls race with their timeouts. What each scene asserts
 * stands in its file in `pool/`.
 *
 *     bun tests/faults/pool.ts [--full] [--seed N] [--runtime deno|bun|node|mix] [SCENE...]
 *
 * --full has the numbers that RELIABILITY.md names, and takes half an hour. Any runtime can run it.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { edge } from "./pool/edge.ts";
import { orphans } from "./pool/orphans.ts";
import { poison } from "./pool/poison.ts";
import { replacements } from "./pool/replacements.ts";
import { type Plan, Stage } from "./pool/stage.ts";
import { storm } from "./pool/storm.ts";
import { type Runtime, runtimes } from "./talker.ts";

const scenes: Readonly<Record<string, (stage: Stage) => Promise<string>>> = {
  storm,
  replacements,
  poison,
  edge,
  orphans,
};

const { plan, names } = readOptions();
console.log(`pool: seed ${plan.seed}, workers in ${plan.runtimes.join(", ")}`);
let failures = 0;
for (const [stream, name] of Object.keys(scenes).entries()) {
  if (!names.includes(name)) continue;
  const began = performance.now();
  const stage = new Stage(plan, stream);
  try {
    const summary = await scenes[name]!(stage);
    await stage.end();
    console.log(`  ${name}, ${Math.round((performance.now() - began) / 1000)} s: ${summary}`);
  } catch (error) {
    await stage.abandon();
    failures += 1;
    console.log(`\nFAILED: ${name} with seed ${plan.seed}: ${(error as Error).stack}`);
  }
}
console.log(
  failures === 0 ? "pool: none lost, none harmed, nothing left" : `${failures} scenes failed`,
);
// What a failed scene has left would keep the process alive.
process.exit(failures === 0 ? 0 : 1);

function readOptions(): { plan: Plan; names: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: {
        full: { type: "boolean", default: false },
        seed: { type: "string" },
        runtime: { type: "string", default: "bun" },
      },
      allowPositionals: true,
    });
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    if (!Number.isInteger(seed)) throw new Error("--seed: give a whole number");
    for (const name of positionals) {
      if (!scenes[name]) throw new Error(`no scene is called ${name}`);
    }
    return {
      plan: { seed, isFull: values.full, runtimes: runtimesOf(values.runtime) },
      names: positionals.length > 0 ? positionals : Object.keys(scenes),
    };
  } catch (error) {
    console.error(`pool: ${(error as Error).message}`);
    console.error(
      "usage: bun tests/faults/pool.ts [--full] [--seed N] [--runtime deno|bun|node|mix] [SCENE...]",
    );
    process.exit(2);
  }
}

function runtimesOf(name: string): readonly Runtime[] {
  const found = name === "mix" ? runtimes : runtimes.filter((runtime) => runtime === name);
  if (found.length === 0) throw new Error("--runtime: give deno, bun, node or mix");
  return found;
}
