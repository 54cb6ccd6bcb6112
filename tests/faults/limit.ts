/**
 * Limits whose contenders are killed and stopped: what each scene asserts stands in its file in `limit/`.
 *
 *     bun tests/faults/limit.ts [--full] [--seed N] [--kills N] [SCENE...]
 *
 * The scenes: `crowd` (never more holders than places, nobody overtaken, no place lost), `kills` (how soon the next
 * one runs), `idle` (waiters do nothing). Only --full judges times and counts of system calls; it has the numbers
 * that RELIABILITY.md names, and wants the machine for itself.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { crowd, type Size } from "./limit/crowd.ts";
import { watchIdle } from "./limit/idle.ts";
import { killGrantees, killHolders } from "./limit/kills.ts";
import { check, Rig } from "./limit/rig.ts";
import { runtimes } from "./talker.ts";

const scenes: Readonly<Record<string, (rig: Rig) => Promise<void>>> = {
  crowd: playCrowd,
  kills: playKills,
  idle: playIdle,
};

const { seed, isFull, kills, names } = readOptions();
console.log(`limit: seed ${seed}`);
let failures = 0;
for (const [stream, name] of Object.keys(scenes).entries()) {
  if (!names.includes(name)) continue;
  const began = performance.now();
  const rig = new Rig(seed, stream, isFull);
  try {
    await scenes[name]!(rig);
    console.log(`  ${name}: ${Math.round((performance.now() - began) / 1000)} s`);
  } catch (error) {
    failures += 1;
    console.log(`\nFAILED: ${name} with seed ${seed}: ${(error as Error).stack}`);
  } finally {
    await rig.end();
  }
}
console.log(
  failures === 0
    ? "limit: no place with two holders, none lost, nobody overtaken"
    : `${failures} scenes failed`,
);
process.exit(failures === 0 ? 0 : 1);

async function playCrowd(rig: Rig): Promise<void> {
  const plays = ["plain", "resized", "newest", "stolen"] as const;
  const sizes: Size[] = plays.map((play) => {
    return { play, processes: 9, contenders: 2, seconds: rig.size(60, 4) };
  });
  if (rig.isFull) {
    sizes.push({ play: "plain", processes: 50, contenders: 1, seconds: 60 });
    sizes.push({ play: "plain", processes: 50, contenders: 4, seconds: 60 });
  }
  for (const size of sizes) console.log(`  ${await crowd(rig, size)}`);
}

async function playKills(rig: Rig): Promise<void> {
  const rows: Record<string, Row> = {};
  for (const runtime of runtimes) {
    for (const form of ["promise", "sync"] as const) {
      const latencies = await killHolders(rig, runtime, form, kills);
      rows[`${runtime}, ${form}, holder`] = row(latencies, 10);
    }
    rows[`${runtime}, promise, grantee`] = row(await killGrantees(rig, runtime, kills), 50);
  }
  console.log("  milliseconds from a SIGKILL to the next one's JavaScript:");
  console.table(rows);
  for (const [title, { median, bar }] of Object.entries(rows)) {
    check(!rig.isFull || median <= bar, `${title}: median ${median} ms, more than ${bar} ms`);
  }
}

interface Row {
  readonly kills: number;
  readonly median: number;
  readonly p90: number;
  readonly max: number;
  /** What the median may be. */
  readonly bar: number;
}

function row(latencies: readonly number[], bar: number): Row {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.floor(share * (sorted.length - 1))]! * 10) / 10;
  return { kills: sorted.length, median: at(0.5), p90: at(0.9), max: at(1), bar };
}

async function playIdle(rig: Rig): Promise<void> {
  const seconds = rig.size(60, 3);
  for (const others of [0, 100]) {
    const found = await watchIdle(rig, others, seconds);
    console.log(`  system calls of waiters in ${seconds} s, behind ${others} others:`);
    console.table(Object.fromEntries(found.map(({ title, form: _, ...figures }) => {
      return [title, figures];
    })));
    let listening = 0;
    for (const { title, form, main } of found) {
      if (form === "socket") listening = main;
      // A thread that blocks does nothing at all. An event loop does what its runtime does for any socket.
      const most = form === "sync" ? 0 : Math.ceil(listening * 1.1) + 2;
      const isJudged = rig.isFull || form === "sync";
      check(!isJudged || main <= most, `${title} behind ${others}: ${main} calls, not ${most}`);
    }
  }
}

interface Options {
  readonly seed: number;
  readonly isFull: boolean;
  readonly kills: number;
  readonly names: readonly string[];
}

function readOptions(): Options {
  try {
    const { values, positionals } = parseArgs({
      options: {
        full: { type: "boolean", default: false },
        seed: { type: "string" },
        kills: { type: "string" },
      },
      allowPositionals: true,
    });
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    if (!Number.isInteger(seed)) throw new Error("--seed: give a whole number");
    const kills = Number(values.kills ?? (values.full ? 200 : 4));
    if (!Number.isInteger(kills) || kills < 1) {
      throw new Error("--kills: give a whole number from 1");
    }
    for (const name of positionals) {
      if (!scenes[name]) throw new Error(`no scene is called ${name}`);
    }
    return {
      seed,
      isFull: values.full,
      kills,
      names: positionals.length > 0 ? positionals : Object.keys(scenes),
    };
  } catch (error) {
    console.error(`limit: ${(error as Error).message}`);
    console.error("usage: bun tests/faults/limit.ts [--full] [--seed N] [--kills N] [SCENE...]");
    process.exit(2);
  }
}
