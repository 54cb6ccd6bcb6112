/**
 * A process with contenders that acquire and release at random, until they are told to stop.
 *
 *     player.ts TARGET PLAY MAX WITNESS SEED STREAM CONTENDERS
 *
 * PLAY is a {@linkcode Play}; MAX is the greatest number of places. It writes lines of JSON: a {@linkcode Report} now and then, with faults at once. At a line on stdin each contender
 * ends what it has begun, and the process ends.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { Limit, type LimitOptions, type Lock } from "../../../src/limit/main.ts";
import { args } from "../../fixtures/lib.ts";
import { Random } from "../chaos/random.ts";
import type { Play, Report } from "./report.ts";
import { Witness } from "./witness.ts";

const [target, play, maxText, witnessPath, seed, stream, contenders] = args as [
  string,
  Play,
  string,
  string,
  string,
  string,
  string,
];
const max = Number(maxText);
const options: LimitOptions = play === "resized"
  ? {}
  : { max, order: play === "newest" ? "newest" : "oldest" };
const random = new Random(Number(seed), Number(stream));
const witness = new Witness(witnessPath);
let isOver = false;
let report: { -readonly [Name in keyof Report]: Report[Name] } = empty();

function empty(): Report {
  return { grants: 0, refusals: 0, longestWait: 0, faults: [] };
}

function flush(): void {
  if (report.grants + report.refusals + report.faults.length > 0) {
    console.log(JSON.stringify(report));
  }
  report = empty();
}

function fault(what: string): void {
  report.faults = [...report.faults, what];
  flush();
}

async function contend(): Promise<void> {
  let limit = new Limit(target, options);
  while (!isOver) {
    if (random.chance(0.3)) await pause(random.skewed(1, 40));
    const began = performance.now();
    const lock = await attempt(limit);
    if (lock) {
      report.longestWait = Math.max(report.longestWait, performance.now() - began);
      await hold(limit, lock);
    } else report.refusals += 1;
    if (random.chance(0.02)) {
      limit.close();
      limit = new Limit(target, options);
    }
  }
  // At last one attempt without a time limit: nobody waits for ever.
  const lock = await limit.acquire();
  if (lock) await hold(limit, lock);
  else if (play !== "newest") fault(`refused at last: ${limit.refusal}`);
  limit.close();
}

/** Null: refused, or given up. */
async function attempt(limit: Limit): Promise<Lock | null> {
  const mode = random.chance(0.15) ? "shared" : "exclusive";
  if (play === "stolen" && random.chance(0.05)) return await limit.acquire({ steal: true });
  const form = random.between(1, 10);
  if (form === 1) return limit.tryAcquire({ mode });
  if (form === 2) return await limit.acquire({ mode, timeout: random.skewed(1, 300) });
  // Blocks the other contenders of this process as well, so not for long.
  if (form === 3) return limit.acquireSync({ mode, timeout: random.skewed(1, 30) });
  if (form === 4) {
    const cancel = new AbortController();
    const timer = setTimeout(() => cancel.abort(), random.skewed(1, 300));
    try {
      return await limit.acquire({ mode, signal: cancel.signal });
    } catch (error) {
      if (!cancel.signal.aborted) throw error;
      return null;
    } finally {
      clearTimeout(timer);
    }
  }
  return await limit.acquire({ mode });
}

async function hold(limit: Limit, lock: Lock): Promise<void> {
  const { id, ticket, mode } = lock;
  report.grants += 1;
  if (id < 1 || id > max) fault(`a place ${id} of ${max}`);
  if (play === "stolen") {
    await pause(random.skewed(1, 20));
    return void lock.release();
  }
  if (!witness.take(id, mode === "shared")) {
    return fault(`two holders of place ${id}, one with ticket ${ticket}: ${dump(limit)}`);
  }
  const overtaken = limit.waiters().find((waiter) => waiter.ticket < ticket);
  if (overtaken && play !== "newest") {
    fault(`ticket ${ticket} has overtaken ${overtaken.ticket}: ${dump(limit)}`);
  }
  if (random.chance(0.5)) await pause(random.skewed(1, 20));
  if (!lock.isHeld) fault(`the lock with ticket ${ticket} is lost: ${dump(limit)}`);
  witness.give(id);
  lock.release();
}

function dump(limit: Limit): string {
  const list = [...limit.holders(), ...limit.waiters()];
  return list.map(({ id, ticket, pid, mode }) => `${ticket}: ${id} ${mode} ${pid}`).join("; ");
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

createInterface({ input: process.stdin }).once("line", () => isOver = true);
const timer = setInterval(flush, 200);
try {
  await Promise.all(Array.from({ length: Number(contenders) }, contend));
} catch (error) {
  fault(`an attempt failed: ${(error as Error).stack}`);
}
clearInterval(timer);
flush();
process.exit();
