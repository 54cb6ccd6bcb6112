/**
 * Processes of all runtimes, in main threads and in Workers, call each other in every form while they
 * are killed, stopped and replaced at random. Each writes its intents and their outcomes into its
 * ledger. The judge checks all ledgers afterwards: no call is lost, none is answered wrongly, none is
 * delivered more often than it allows, and the channel is at rest in the end.
 *
 *     bun tests/faults/chaos.ts [--full] [--seed N] [--calls N] [--kills N]
 *
 * The seed decides the roles, and which fault comes after how many calls. The interleaving of the
 * processes depends on the machine.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { Client } from "../../mod.ts";
import { toolCommand } from "../../scripts/tools.ts";
import { startProcess } from "../../src/runtime/processes.ts";
import { audit, type Verdict } from "./chaos/audit.ts";
import { Conductor, type Deeds } from "./chaos/conductor.ts";
import { Content, payloadBytesMax } from "./chaos/content.ts";
import { Random } from "./chaos/random.ts";
import { inspectRest } from "./chaos/rest.ts";
import { draw } from "./chaos/schedule.ts";
import { Casting, type Seat } from "./chaos/troupe.ts";

const seats: readonly Seat[] = [
  { runtime: "bun", place: "main", roles: ["server"] },
  { runtime: "deno", place: "main", roles: ["server"] },
  { runtime: "node", place: "main", roles: ["server"] },
  { runtime: "bun", place: "workers", roles: ["server", "client"] },
  { runtime: "deno", place: "workers", roles: ["server", "client"] },
  { runtime: "node", place: "workers", roles: ["server", "client"] },
  { runtime: "bun", place: "main", roles: ["client"] },
  { runtime: "deno", place: "main", roles: ["client"] },
  { runtime: "node", place: "main", roles: ["client"] },
];

interface Options {
  readonly seed: number;
  readonly calls: number;
  readonly kills: number;
}

const options = readOptions();
process.exitCode = await run(options);

function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        full: { type: "boolean", default: false },
        seed: { type: "string" },
        calls: { type: "string" },
        kills: { type: "string" },
      },
    });
    return {
      seed: wholeNumber("seed", values.seed, 0) ?? Math.floor(Math.random() * 2 ** 31),
      calls: wholeNumber("calls", values.calls, 1) ?? (values.full ? 10_000_000 : 200_000),
      kills: wholeNumber("kills", values.kills, 0) ?? (values.full ? 1_000 : 60),
    };
  } catch (error) {
    console.error(`chaos: ${(error as Error).message}`);
    console.error("usage: bun tests/faults/chaos.ts [--full] [--seed N] [--calls N] [--kills N]");
    process.exit(2);
  }
}

function wholeNumber(name: string, text: string | undefined, min: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value < 2 ** 31) return value;
  throw new Error(`--${name} is "${text}"; give a whole number from ${min} to ${2 ** 31 - 1}`);
}

/** Returns the exit code. */
async function run({ seed, calls, kills }: Options): Promise<number> {
  console.log(`chaos: seed ${seed}, ${calls} calls, ${kills} kills`);
  const random = new Random(seed, -1);
  const folder = mkdtempSync("/dev/shm/tandem-chaos-");
  const target = join(folder, "stage.tandem");
  const guard = startGuard(folder);
  const epoch = Date.now();
  const watcher = Client.open(target, {
    create: {
      slots: random.between(8, 48),
      maxRequestBytes: payloadBytesMax,
      maxResponseBytes: payloadBytesMax,
      maxDeliveries: 3,
    },
  });
  const casting = new Casting({ seed, target, epoch }, folder, random);
  const conductor = new Conductor(casting, random, watcher, epoch, guard.note);
  const failures: string[] = [];
  let verdict: Verdict | undefined;
  try {
    await conductor.play(seats, draw(random, calls, kills), calls, progress(calls));
    await conductor.finish();
    const { redelivered } = watcher.stats();
    verdict = audit(casting.players, new Content(seed), redelivered);
    failures.push(...verdict.failures, ...inspectRest(watcher, target));
  } catch (error) {
    const story = verdict ? [] : conductor.dump();
    failures.push([(error as Error).stack ?? String(error), ...story].join("\n"));
  } finally {
    await conductor.abandon();
    watcher.close();
    rmSync(folder, { recursive: true, force: true });
    guard.end();
  }
  if (verdict) report(verdict, conductor.deeds, casting.players.length, Date.now() - epoch);
  for (const failure of failures) console.log(`\nFAILED: ${failure}`);
  console.log(
    failures.length === 0
      ? "chaos: none lost, none wrong, none doubled"
      : `\nchaos: ${failures.length} failures with seed ${seed}`,
  );
  return failures.length === 0 ? 0 : 1;
}

/** A line now and then. */
function progress(all: number): (calls: number) => void {
  let next = 0.1;
  const began = Date.now();
  return (calls) => {
    if (calls < next * all) return;
    console.log(`  ${calls} calls after ${Math.round((Date.now() - began) / 1000)} s`);
    next += 0.1;
  };
}

function report(verdict: Verdict, deeds: Deeds, players: number, milliseconds: number): void {
  const {
    outcomes,
    calls,
    deliveries,
    redelivered,
    closes,
    clears,
    unseen,
    unseenMax,
    longest,
    cleared,
    clearedMax,
  } = verdict;
  console.log(`${calls} calls of ${players} players in ${Math.round(milliseconds / 1000)} s`);
  for (const [name, count] of [...outcomes].sort((a, b) => b[1] - a[1])) {
    const remark = name === "none" ? "  (their client was killed)" : "";
    console.log(`  ${String(count).padStart(9)} ${name}${remark}`);
  }
  console.log(`${deliveries} deliveries, ${redelivered} of them after a death`);
  console.log(
    `${deeds.kills} processes killed, ${deeds.stops} stopped, ${deeds.terminations} Workers ended, ` +
      `${closes} handles closed in mid-call, ${deeds.joins} joined, ${deeds.leaves} left`,
  );
  console.log(
    `${clears} clears of ${clearedMax} calls, which explain ${cleared} that were cancelled or dropped`,
  );
  console.log(
    `${unseen} deliveries to servers that were killed before they could write (at most ${unseenMax}); ` +
      `the longest call took ${longest} ms`,
  );
}

/** Ends the processes and removes the folder if this process is killed. */
function startGuard(folder: string): {
  note(pid: number, isThere: boolean): void;
  end(): void;
} {
  const program = new URL("../fixtures/watchdog.ts", import.meta.url);
  const { stdin } = startProcess(toolCommand("bun", program, [String(process.pid)]), {
    stdio: ["pipe", "ignore", "inherit"],
    // A signal to this process's group must not end it.
    isDetached: true,
  });
  stdin!.on("error", () => {});
  stdin!.write(`folder ${folder}\n`);
  return {
    note: (pid, isThere) => void stdin!.write(`${isThere ? "child" : "gone"} ${pid}\n`),
    end: () => void stdin!.end(),
  };
}
