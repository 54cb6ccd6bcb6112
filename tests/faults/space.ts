/**
 * Space runs out: in the file system, at create, at send, at reply; in a /dev/shm of 64 MiB; in a
 * process's address space; and in a memory cgroup, which kills. Each time it is `NO_SPACE`, nothing is
 * lost, and everything goes on when there is space again. A process killed for memory has died like any
 * other. In every ordered pair of runtimes.
 *
 *     bun tests/faults/space.ts [--full]
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
import { buildFuzzer, runtimes } from "./talker.ts";

const inside = "TANDEM_SPACE_INSIDE";

const { full } = options();
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
      for (const server of runtimes) {
        for (const client of runtimes) {
          for (const [name, { size, run }] of Object.entries(cases)) {
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
    }
    if (readdirSync(parent).length > 0) throw new Error(`left behind: ${readdirSync(parent)}`);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
  console.log(
    `space: ${tally.passed} cases passed (${Object.keys(cases).length} in each of 4 pairs of ` +
      `runtimes${full ? ", ten times" : ""}), ${tally.refusals} times NO_SPACE, ` +
      `${tally.skipped} not tested, ${tally.failed} failed`,
  );
  process.exitCode = tally.failed === 0 ? 0 : 1;
}

function options(): { full: boolean } {
  try {
    return parseArgs({ options: { full: { type: "boolean", default: false } } }).values;
  } catch (error) {
    console.error(`space: ${(error as Error).message}; usage: space.ts [--full]`);
    process.exit(2);
  }
}
