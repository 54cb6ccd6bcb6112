/**
 * Space runs out: in the file system, at create, at send, at reply; in a /dev/shm of 64 MiB; in a
 * process's address space; and in a memory cgroup, which kills. Each time it is `NO_SPACE`, nothing is
 * lost, and everything goes on when there is space again. A process killed for memory has died like any
 * other. Each runtime serves another one in each case, and is served by another one; the seed decides which.
 * With --full in every ordered pair of runtimes.
 *
 *     bun tests/faults/space.ts [--full] [--seed N]
 *
 * It runs in its own mount namespace. Cases that the machine does not allow are printed and counted.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cases } from "./space/cases.ts";
import { Skipped, Stage } from "./space/stage.ts";
import { everyPair, type Pair } from "../support/processes.ts";
import { buildFuzzer, runtimes } from "./talker.ts";

const inside = "TANDEM_SPACE_INSIDE";

const { full, seed } = options();
if (process.env[inside] === undefined) {
  buildFuzzer();
  runInNamespace();
} else await runCases();

/** Runs this program again in its own mount namespace. */
function runInNamespace(): void {
  const flags = process.geteuid?.() === 0 ? ["--mount"] : ["--map-root-user", "--mount"];
  const command = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const { status, error } = spawnSync(
    "unshare",
    [...flags, "--propagation", "private", ...command],
    {
      stdio: "inherit",
      env: { ...process.env, [inside]: "1" },
    },
  );
  if (error) throw error;
  process.exitCode = status ?? 1;
}

async function runCases(): Promise<void> {
  const parent = mkdtempSync("/tmp/tandem-space-");
  const tally = { passed: 0, skipped: 0, failed: 0, refusals: 0 };
  try {
    for (let round = 0; round < (full ? 10 : 1); round++) {
      for (const [index, [name, { size, run }]] of Object.entries(cases).entries()) {
        for (const { server, client } of pairsOf(index)) {
          const title = `${server} serves ${client}: ${name}`;
          const folder = join(parent, `${round}-${tally.passed + tally.skipped + tally.failed}`);
          mkdirSync(folder);
          const stage = new Stage(folder, server, client);
          try {
            stage.mount(size);
            await run(stage);
            tally.passed += 1;
            tally.refusals += stage.refusals;
          } catch (error) {
            if (error instanceof Skipped) {
              tally.skipped += 1;
              console.log(`not tested: ${title}: ${error.message}`);
            } else {
              tally.failed += 1;
              console.error(`FAILED: ${title}: ${(error as Error).stack}`);
            }
          } finally {
            await stage.end();
          }
        }
      }
    }
    if (readdirSync(parent).length > 0) throw new Error(`left behind: ${readdirSync(parent)}`);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
  console.log(
    `space: seed ${seed}: ${tally.passed} passed (${Object.keys(cases).length} cases, each in ` +
      `${pairsOf(0).length} pairs of runtimes${full ? ", ten times" : ""}), ` +
      `${tally.refusals} times NO_SPACE, ` +
      `${tally.skipped} not tested, ${tally.failed} failed`,
  );
  process.exitCode = tally.failed === 0 ? 0 : 1;
}

/** Who serves whom in a case: in three cases that follow each other every runtime serves every one. */
function pairsOf(index: number): readonly Pair[] {
  if (full) return everyPair;
  return runtimes.map((_, place) =>
    everyPair[place * runtimes.length + (place + index + seed) % runtimes.length]!
  );
}

function options(): { full: boolean; seed: number } {
  try {
    const { values } = parseArgs({
      options: { full: { type: "boolean", default: false }, seed: { type: "string" } },
    });
    const seed = Number(values.seed ?? Date.now() % runtimes.length);
    if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`no seed: ${values.seed}`);
    return { full: values.full, seed };
  } catch (error) {
    console.error(`space: ${(error as Error).message}; usage: space.ts [--full] [--seed N]`);
    process.exit(2);
  }
}
