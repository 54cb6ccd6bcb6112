/**
 * Processes of all runtimes work in channels while another one scribbles over the memory. Each of
 * their operations has to return or to throw an error with a code, in time; none may crash or hang;
 * and once the channel has been replaced everything works again. The answers in between may be
 * anything.
 *
 *     bun tests/faults/hostile.ts [--full] [--seed N]
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type ChannelOptions, IntServer, Server } from "../../mod.ts";
import { readJournal } from "./hostile/journal.ts";
import type { Account } from "./hostile/ledger.ts";
import { Random } from "./hostile/random.ts";
import type { Kind } from "./hostile/victim.ts";
import { calmAddress } from "./hostile/forwarders.ts";
import { buildFuzzer, fuzzer, programCommand, type Runtime, runtimes, Talker } from "./talker.ts";

/** The time that an operation may take beyond its time-out on a busy machine. */
const hangAfter = 30_000;

const victimForms = ["sync-client", "sync-server", "promises"] as const;

/** About the nanoseconds between two changes; 0: without a pause. */
const pauses = [0, 1_000, 100_000, 1_000_000, 5_000_000];

const calmCalls = 40;

/** The kinds of rounds, in turn, and what the scribbler changes in them if not everything. */
const turns: readonly (readonly [kind: Kind, only?: string])[] = [
  ["bytes"],
  // While decoders read them.
  ["bytes", "texts"],
  ["notes", "notes"],
  ["int"],
  ["notes"],
  ["bytes", "texts"],
  ["bytes"],
  ["int"],
];

function sizes(random: Random): ChannelOptions {
  return {
    slots: random.pick([1, 4, 16, 300]),
    maxRequestBytes: random.pick([100, 5000, 8192]),
    maxResponseBytes: random.pick([100, 5000, 8192]),
    maxDeliveries: 1 + random.below(4),
  };
}

class Victim extends Talker {
  readonly #journal: string;

  constructor(folder: string, runtime: Runtime, form: string) {
    const journal = join(folder, `${runtime}-${form}.journal`);
    const program = programCommand(runtime, "tests/faults/hostile/victim.ts");
    super(`${runtime} ${form}`, [...program, journal, form]);
    this.#journal = journal;
    writeFileSync(journal, "");
  }

  /** Throws when an operation goes on for too long. */
  checkTime(): void {
    for (const { lane, operation, since } of readJournal(this.#journal)) {
      const elapsed = Date.now() - since;
      if (elapsed > hangAfter) {
        throw new Error(`${this.title}, lane ${lane}, hangs in ${operation} for ${elapsed} ms`);
      }
    }
  }

  answer(): Promise<string> {
    return this.line(() => this.checkTime());
  }
}

const { full, seed } = options();
const folder = mkdtempSync("/dev/shm/tandem-hostile-");
const random = new Random(seed);
const victims: Victim[] = [];
let scribbler: Talker | undefined;
const total: Account = { results: {}, faults: [], longest: { operation: "none", milliseconds: 0 } };
const scribbles = new Map<string, number>();

console.log(`hostile: seed ${seed}`);
buildFuzzer();
try {
  await run();
} catch (error) {
  console.error(`hostile: seed ${seed}: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  for (const victim of victims) victim.kill();
  scribbler?.kill();
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<void> {
  for (const runtime of runtimes) {
    for (const form of victimForms) victims.push(new Victim(folder, runtime, form));
  }
  for (const victim of victims) await victim.answer();
  const rounds = full ? 200 : 16;
  for (let round = 0; round < rounds; round++) {
    await scribbledRound(round);
    await calmRound(join(folder, `round-${round}.tandem`));
  }
  for (const victim of victims) {
    if (victim.end !== null) throw new Error(`${victim.title} ${victim.end}`);
  }
  report(rounds);
}

async function scribbledRound(round: number): Promise<void> {
  const target = join(folder, `round-${round}.tandem`);
  const [kind, only] = turns[round % turns.length]!;
  if (kind === "int") IntServer.create(target, { slots: random.pick([1, 4, 16]) }).close();
  else Server.create(target, sizes(random)).close();
  const pause = pauses[round % pauses.length]!;
  scribbler = new Talker("scribbler", [
    fuzzer,
    ...["--scribble", target],
    ...["--seed", String(seed + round)],
    ...["--pause", String(pause)],
    ...(only === undefined ? [] : ["--only", only]),
  ]);
  await scribbler.line(() => {});
  victims.forEach((victim, index) => {
    victim.send(
      `scribbled ${target} ${seed + round * 100 + index * 10} ${kind}`,
    );
  });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  writeFileSync(`${target}.stop`, "");
  for (const victim of victims) add(victim.title, JSON.parse(await victim.answer()));
  scribbler.process.stdin!.end();
  const counts = JSON.parse(await scribbler.line(() => {})) as Record<string, number>;
  for (const [field, count] of Object.entries(counts)) {
    scribbles.set(field, (scribbles.get(field) ?? 0) + count);
  }
  rmSync(`${target}.stop`);
}

/** The channel is replaced, and everything works: in the same processes. */
async function calmRound(target: string): Promise<void> {
  rmSync(target, { force: true });
  await using server = Server.create(target);
  void server.serve((request) => {
    const { address = calmAddress } = request.peer;
    if (address !== calmAddress) throw new Error(`a call from ${address}`);
    return request.bytes;
  });
  for (const victim of victims) victim.send(`calm ${target} ${calmCalls}`);
  for (const victim of victims) {
    const answered = Number(await victim.answer());
    if (answered !== calmCalls) {
      throw new Error(`${victim.title}: ${answered} of ${calmCalls} calls in a new channel`);
    }
  }
  server.unlink();
}

function add(title: string, account: Account): void {
  if (account.faults.length > 0) {
    throw new Error(`${title}: errors without a code:\n${account.faults.join("\n")}`);
  }
  for (const [operation, results] of Object.entries(account.results)) {
    const sum = total.results[operation] ??= {};
    for (const [result, count] of Object.entries(results)) sum[result] = (sum[result] ?? 0) + count;
  }
  if (account.longest.milliseconds > total.longest.milliseconds) {
    total.longest = { ...account.longest, operation: `${title} ${account.longest.operation}` };
  }
}

function report(rounds: number): void {
  const byResult: Record<string, number> = {};
  console.log("results of each operation:");
  for (const [operation, results] of Object.entries(total.results).sort()) {
    console.log(`  ${operation}: ${describe(results)}`);
    for (const [result, count] of Object.entries(results)) {
      byResult[result] = (byResult[result] ?? 0) + count;
    }
  }
  const written = [...scribbles.values()];
  const sum = written.reduce((a, b) => a + b, 0);
  console.log(`scribbles: ${describe(Object.fromEntries(scribbles))}`);
  console.log(
    `longest beyond a time-out: ${total.longest.milliseconds} ms, ${total.longest.operation}`,
  );
  const operations = Object.values(byResult).reduce((a, b) => a + b, 0);
  console.log(
    `hostile: seed ${seed}: ${rounds} rounds, ${victims.length} processes of all runtimes, ` +
      `${sum} changes in ${written.length} fields (${Math.min(...written)} or more in each), ` +
      `${operations} operations (${describe(byResult)}), ` +
      `${rounds * victims.length * calmCalls} calls in replaced channels all answered; ` +
      "no crash, no hang, no error without a code",
  );
}

function describe(counts: Record<string, number>): string {
  return Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ");
}

function options(): { full: boolean; seed: number } {
  try {
    const { values } = parseArgs({
      options: { full: { type: "boolean", default: false }, seed: { type: "string" } },
    });
    const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
    if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`no seed: ${values.seed}`);
    return { full: values.full, seed };
  } catch (error) {
    console.error(`hostile: ${(error as Error).message}; usage: hostile.ts [--full] [--seed N]`);
    process.exit(2);
  }
}
