/**
 * Nodes that are killed, stopped and closed while they send, and a node that writes garbage. What each scene asserts
 * stands in its file in `nodes/`.
 *
 *     bun tests/faults/nodes.ts [--full] [--seed N] [--runtime deno|bun|node|mix] [SCENE...]
 *
 * --full has the numbers that RELIABILITY.md names. Any runtime can run it.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { hostile } from "./nodes/hostile.ts";
import { kills } from "./nodes/kills.ts";
import { mesh } from "./nodes/mesh.ts";
import { NodeStage } from "./nodes/stage.ts";
import type { Plan } from "./pool/stage.ts";
import { type Runtime, runtimes } from "./talker.ts";

const scenes: Readonly<Record<string, (stage: NodeStage) => Promise<string>>> = {
  kills,
  mesh,
  hostile,
};

const { plan, names } = readOptions();
console.log(`nodes: seed ${plan.seed}, nodes in ${plan.runtimes.join(", ")}`);
let passed = 0;
let failed = 0;
for (const [stream, name] of Object.keys(scenes).entries()) {
  if (!names.includes(name)) continue;
  const began = performance.now();
  const stage = new NodeStage(plan, stream);
  try {
    const summary = await scenes[name]!(stage);
    await stage.end();
    passed += 1;
    console.log(`  ${name}, ${Math.round((performance.now() - began) / 1000)} s: ${summary}`);
  } catch (error) {
    await stage.abandon();
    failed += 1;
    console.log(`\nFAILED: ${name} with seed ${plan.seed}: ${(error as Error).stack}`);
  }
}
console.log(`nodes: ${passed} passed, ${failed} failed`);
// What a failed scene has left would keep the process alive.
process.exit(failed === 0 ? 0 : 1);

function readOptions(): { plan: Plan; names: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: {
        full: { type: "boolean", default: false },
        seed: { type: "string" },
        runtime: { type: "string", default: "mix" },
      },
      allowPositionals: true,
    });
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    if (!Number.isSafeInteger(seed)) throw new Error("--seed: give a whole number");
    for (const name of positionals) {
      if (!scenes[name]) throw new Error(`no scene is called ${name}`);
    }
    return {
      plan: { seed, isFull: values.full, runtimes: runtimesOf(values.runtime) },
      names: positionals.length > 0 ? positionals : Object.keys(scenes),
    };
  } catch (error) {
    console.error(`nodes: ${(error as Error).message}`);
    console.error(
      "usage: bun tests/faults/nodes.ts [--full] [--seed N] [--runtime deno|bun|node|mix] [SCENE...]",
    );
    process.exit(2);
  }
}

function runtimesOf(name: string): readonly Runtime[] {
  const found = name === "mix" ? runtimes : runtimes.filter((runtime) => runtime === name);
  if (found.length === 0) throw new Error("--runtime: give deno, bun, node or mix");
  return found;
}
