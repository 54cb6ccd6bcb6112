/**
 * Explores the streams between nodes, their ends and their boards: the real code of `src/node/hall` over a simulated
 * memory, and of `src/nats/nodes` over a simulated network, in every order of steps. Then it breaks the code on purpose, in one way after the other, and has to notice.
 *
 *     bun tests/faults/streams.ts [--full] [--seed N] [--only NAME]...
 *
 * Each configuration has random walks first, which jump far, and then all orders from the beginning on. Without --full,
 * so many paths that they take some seconds. `NAME` is a configuration or a mutant.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { setImmediate } from "../../src/runtime/timers.ts";
import { build, type Sources } from "./streams/build.ts";
import { configurations } from "./streams/configurations.ts";
import { explore, type Found, walk } from "./streams/explorer.ts";
import { mutants } from "./streams/mutants.ts";
import type { Configuration } from "./streams/scene.ts";

const { values } = parseArgs({
  options: {
    full: { type: "boolean", default: false },
    seed: { type: "string" },
    only: { type: "string", multiple: true },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const walks = values.full ? 20_000 : 300;
const pathsMax = values.full ? 200_000 : 1_000;
/** To find a mutant. */
const hunts = 4_000;

const folder = mkdtempSync(join(tmpdir(), "tandem-streams-"));
let failures = 0;
try {
  console.log(`streams: seed ${seed}`);
  await exploreAll();
  await breakAll();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(failures === 0 ? "streams: no violation, all mutants caught" : `${failures} failures`);
process.exit(failures === 0 ? 0 : 1);

function isChosen(name: string): boolean {
  return values.only?.includes(name) ?? true;
}

/** The explorer runs the microtasks itself, so it must not run in one. */
function apart<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work());
      } catch (error) {
        reject(error);
      }
    });
  });
}

async function exploreAll(): Promise<void> {
  const sources = await build(join(folder, "whole"), null);
  let [states, steps] = [0, 0];
  for (const configuration of configurations) {
    if (!isChosen(configuration.name)) continue;
    const began = performance.now();
    const found = await apart(() => {
      const walked = walk(sources, configuration, walks, seed);
      return walked.violation ? walked : explore(sources, configuration, pathsMax);
    });
    states += found.states;
    steps += found.steps;
    console.log(
      `  ${configuration.name}: ${said(found)}, ${Math.round(performance.now() - began)} ms`,
    );
    if (found.violation === null) continue;
    failures += 1;
    console.log(`\nVIOLATION: ${found.violation.text}\n  ${found.violation.trace.join("\n  ")}\n`);
  }
  console.log(`  ${states} states, ${steps} steps`);
}

function said({ states, steps, paths, isCut }: Found): string {
  return `${states} states, ${steps} steps, ${paths} paths${isCut ? ", cut short" : ", whole"}`;
}

async function breakAll(): Promise<void> {
  let [tried, caught] = [0, 0];
  for (const mutant of mutants) {
    if (!isChosen(mutant.name)) continue;
    tried += 1;
    const { name, why } = mutant;
    const sources = await build(join(folder, name), mutant);
    const violation = await apart(() => hunt(sources, configurationOf(mutant.configuration)));
    if (violation) caught += 1;
    else failures += 1;
    console.log(`  ${name}: ${why}\n    ${violation ? `caught: ${violation}` : "NOT CAUGHT"}`);
    rmSync(join(folder, name), { recursive: true, force: true });
  }
  console.log(`  ${caught} of ${tried} mutants caught`);
}

function hunt(sources: Sources, configuration: Configuration): string | null {
  const walked = walk(sources, configuration, hunts, seed);
  const found = walked.violation ? walked : explore(sources, configuration, hunts);
  return found.violation?.text ?? null;
}

function configurationOf(name: string): Configuration {
  const found = configurations.find((each) => each.name === name);
  if (!found) throw new Error(`there is no configuration ${name}`);
  return found;
}
