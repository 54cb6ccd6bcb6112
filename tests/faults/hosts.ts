/**
 * Typed services and their clients, in all runtimes, are killed and stopped while they exchange
 * streams and long messages, eight calls at once each. Every answer is judged; no rejection may stay
 * unhandled; and in the end each service serves, streams, and ends on SIGTERM, and no file is left.
 *
 *     bun tests/faults/hosts.ts [--full] [--seconds N] [--seed N]
 *
 * --full takes 20 minutes.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { Client, connect, Server } from "../../mod.ts";
import { privateChannelsOf } from "../support/bells.ts";
import type { Api } from "./hosts/api.ts";
import { buildFuzzer, fuzzer, programCommand, type Runtime, runtimes, Talker } from "./talker.ts";

/** How long to wait for an expected event on a busy machine. */
const patience = 60_000;

type Role = "service" | "client" | "witness";

class Actor extends Talker {
  readonly runtime: Runtime;
  readonly role: Role;
  isStopped = false;

  constructor(runtime: Runtime, role: Role, args: readonly string[]) {
    super(`${runtime} ${role}`, [
      ...programCommand(runtime, "tests/faults/hosts/actor.ts"),
      role,
      ...args,
    ]);
    this.runtime = runtime;
    this.role = role;
  }

  deliver(name: "SIGSTOP" | "SIGCONT" | "SIGTERM" | "SIGKILL"): void {
    if (this.end === null) this.process.kill(name);
    this.isStopped = name === "SIGSTOP";
  }
}

const { seconds, seed } = options();
const folder = mkdtempSync("/dev/shm/tandem-hosts-");
const target = join(folder, "stage.tandem");
const tally = { kills: 0, stops: 0, done: 0, hit: 0, scribbles: 0 };
/** Those that are ready. */
let actors: Actor[] = [];
/** Those that were killed and are being replaced; so many at a time. */
const replacements = new Set<Promise<void>>();
const replacementsMax = 3;
/** All that were ever started. */
const started: Actor[] = [];
let state = seed;

console.log(`hosts: seed ${seed}, ${seconds} s`);
buildFuzzer();
try {
  await run();
  await runScribbled(Math.min(60, seconds / 3));
  console.log(
    `hosts: ${tally.done} calls went well in the clients that were left, ${tally.hit} were hit by ` +
      `${tally.kills} kills and ${tally.stops} stops; none wrong, nothing left behind; private ` +
      `channels were scribbled over ${tally.scribbles} times, and no process crashed or hung`,
  );
} catch (error) {
  console.error(`FAILED with seed ${seed}: ${(error as Error).stack}`);
  process.exitCode = 1;
} finally {
  for (const actor of started) actor.kill();
  await Promise.all(started.map((actor) => actor.closed));
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  await Promise.all(runtimes.map((runtime) => start(runtime, "service")));
  await Promise.all([...runtimes, ...runtimes].map((runtime) => start(runtime, "client")));
  const end = Date.now() + seconds * 1000;
  let nextReport = Date.now() + 60_000;
  while (Date.now() < end) {
    await sleep(50 + below(300));
    checkAlive();
    const actor = actors[below(actors.length)]!;
    if (below(3) > 0) await kill(actor);
    else await stop(actor);
    if (Date.now() < nextReport) continue;
    nextReport += 60_000;
    const left = Math.round((end - Date.now()) / 1000);
    console.log(`  ${tally.kills} kills, ${tally.stops} stops, ${left} s left`);
  }
  await Promise.all(replacements);
  await rest();
}

async function start(runtime: Runtime, role: Role): Promise<void> {
  const actor = new Actor(runtime, role, [target, String(below(2 ** 31))]);
  started.push(actor);
  const said = await actor.line(watch("its start"));
  if (said !== "ready") throw new Error(`${actor.title} says ${said}`);
  actors.push(actor);
}

/** A process ends only when this program kills it. */
function checkAlive(): void {
  for (const { end, title } of actors) if (end !== null) throw new Error(`${title} ${end}`);
}

async function kill(actor: Actor): Promise<void> {
  actors = actors.filter((other) => other !== actor);
  actor.deliver("SIGKILL");
  await actor.closed;
  if (actor.signal !== "SIGKILL") throw new Error(`${actor.title} ${actor.end}`);
  tally.kills += 1;
  const replacement = start(actor.runtime, actor.role);
  replacements.add(replacement);
  // If it fails, the promise stays, and the next wait for it rejects.
  replacement.then(() => replacements.delete(replacement), () => {});
  if (replacements.size >= replacementsMax) await Promise.race(replacements);
}

async function stop(actor: Actor): Promise<void> {
  actor.deliver("SIGSTOP");
  await sleep(below(500));
  actor.deliver("SIGCONT");
  tally.stops += 1;
}

/**
 * Another process writes garbage into the private channels while they are used. The calls may fail or
 * give anything; no process may crash, and all end in good order.
 */
async function runScribbled(seconds: number): Promise<void> {
  await Promise.all(runtimes.map((runtime) => start(runtime, "service")));
  await Promise.all(runtimes.map((runtime) => start(runtime, "witness")));
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    checkAlive();
    await sleep(20);
    const paths = privateChannelsOf(target);
    if (paths.length === 0) continue;
    const path = paths[below(paths.length)]!;
    const pause = ["0", "1000", "1000000"][below(3)]!;
    const scribbler = new Talker("scribbler", [fuzzer, "--scribble", path, "--pause", pause]);
    await sleep(50 + below(300));
    scribbler.kill();
    await scribbler.closed;
    tally.scribbles += 1;
  }
  for (const role of ["witness", "service"] as const) {
    for (const actor of actors.filter((actor) => actor.role === role)) {
      actor.deliver("SIGTERM");
      await ends(actor);
    }
  }
  Server.unlink(target);
  const left = readdirSync(folder, { recursive: true });
  if (left.length > 0) throw new Error(`left behind by a scribbled host: ${left}`);
}

/** The kills are over: all processes end in good order. */
async function rest(): Promise<void> {
  const services = actors.filter(({ role }) => role === "service");
  for (const client of actors.filter(({ role }) => role === "client")) {
    client.deliver("SIGTERM");
    const { done, hit } = JSON.parse(await client.line(watch("its end")));
    // It may have been started a moment ago.
    tally.done += done;
    tally.hit += hit;
    await ends(client);
  }
  if (tally.done === 0) throw new Error("no client has had an answer");
  {
    using watcher = Client.open(target);
    const idle = () => watcher.stats().inFlight === 0;
    await until(idle, "the channel is at rest, and no place is taken");
    await serves(services.length);
  }
  for (const service of services) {
    service.deliver("SIGTERM");
    await ends(service);
  }
  Server.unlink(target);
  const left = readdirSync(folder, { recursive: true });
  if (left.length > 0) throw new Error(`left behind: ${left}`);
}

/** Each service has room for as many calls as it should, and its host is alive. */
async function serves(services: number): Promise<void> {
  using remote = connect<Api>(target, { timeout: patience });
  const calls = Array.from({ length: 8 * services }, (_, index) => remote.addLater(index, 1));
  (await Promise.all(calls)).forEach((sum, index) => {
    if (sum !== index + 1) throw new Error(`${index} + 1 is ${sum}`);
  });
  for (let round = 0; round < 4 * services; round++) {
    let count = 0;
    for await (const piece of remote.pieces(1_000, round, 5)) count += piece.byteLength;
    if (count !== 5_000) throw new Error(`a stream had ${count} bytes`);
  }
}

async function ends(actor: Actor): Promise<void> {
  await until(() => actor.end !== null, `${actor.title} ends on SIGTERM`);
  if (actor.end !== "ended by code 0: ") throw new Error(`${actor.title} ${actor.end}`);
  actors = actors.filter((other) => other !== actor);
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + patience;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}\n${stacks()}`);
    await sleep(5);
  }
}

/** The state of all processes, according to the kernel. */
function stacks(): string {
  return spawnSync("ps", ["-o", "pid,stat,wchan,args"], { encoding: "utf8" }).stdout;
}

function watch(what: string): () => void {
  const deadline = Date.now() + patience;
  return () => {
    if (Date.now() > deadline) throw new Error(`${what} is waited for in vain`);
  };
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function below(limit: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor(state / 2 ** 32 * limit);
}

function options(): { seconds: number; seed: number } {
  try {
    const { values } = parseArgs({
      options: {
        full: { type: "boolean", default: false },
        seconds: { type: "string" },
        seed: { type: "string" },
      },
    });
    const wanted = Number(values.seconds ?? (values.full ? 1_200 : 40));
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
    if (!(wanted > 0) || !Number.isInteger(seed)) throw new Error("give whole numbers");
    return { seconds: wanted, seed };
  } catch (error) {
    console.error(`hosts: ${(error as Error).message}`);
    console.error("usage: bun tests/faults/hosts.ts [--full] [--seconds N] [--seed N]");
    process.exit(2);
  }
}
