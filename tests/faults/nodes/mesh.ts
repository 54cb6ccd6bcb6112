/**
 * A dozen nodes that all talk to each other are killed, stopped, closed and started anew at random. Each of them ends
 * its process when it sees something wrong (`dweller.ts`). Afterwards
 *
 * - the nodes that are left have had all that the others of them have sent,
 * - they agree on which nodes there are, and on what the registry has,
 * - the monitors of those that are gone have fired, each once,
 * - no key has had two holders at a time,
 * - they have no more descriptors and mappings than a node that has just come.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { check, pause, Tally } from "../pool/stage.ts";
import type { Runtime } from "../talker.ts";
import { auditClaims } from "./claims.ts";
import type { DwellerCommand } from "./dweller.ts";
import { type Report, shared } from "./dwelling.ts";
import { eventually, type NodeStage, type Player } from "./stage.ts";

const dwellers = 12;
/** So many are started anew at a time. */
const startsMax = 3;
/** What is kept for later: bells of others, also of two that are gone, and what a runtime opens when it needs it. */
const descriptorsSpare = 3 * dwellers;

export async function mesh(stage: NodeStage): Promise<string> {
  const crowd = new Crowd(stage);
  await crowd.fill(dwellers);
  const tally = await storm(stage, crowd, stage.size(600, 10) * 1_000);
  await crowd.fill(dwellers);
  const found = await atRest(stage, crowd);
  await level(stage, crowd);
  await crowd.end();
  const claims = auditClaims(stage.notes);
  return `${dwellers} nodes, ${tally}: ${found.numbers} numbered messages between those that were left, ` +
    `none lost; ${found.ends} monitors have fired once, ${found.entries} entries are the same for all, ` +
    `${claims} claims had one holder at a time`;
}

/** The processes that have a node. */
export class Crowd {
  readonly #stage: NodeStage;
  players: Player[] = [];
  readonly #numbers: Map<Player, number> = new Map();
  /** Of those that are no part of it any more: the next ones have the same names and ids. */
  readonly #free: number[] = [];
  #numbered = 0;

  constructor(stage: NodeStage) {
    this.#stage = stage;
  }

  /** Starts nodes until there are so many. */
  async fill(count: number): Promise<void> {
    while (this.players.length < count) {
      const left = Math.min(startsMax, count - this.players.length);
      await Promise.all(Array.from({ length: left }, () => this.add()));
    }
  }

  async add(runtime?: Runtime): Promise<Player> {
    const number = this.#free.shift() ?? this.#numbered++;
    const name = `dweller-${number}`;
    const player = await this.#stage.start(runtime ?? this.#stage.runtimeOf(number), "dweller", {
      name,
      id: number % 2 === 0 ? null : `chosen-${number}`,
      seed: this.#stage.random.between(0, 2 ** 30),
    });
    this.#numbers.set(player, number);
    this.players.push(player);
    return player;
  }

  /** Lets one of them end. */
  async remove(end: (player: Player) => Promise<unknown>): Promise<void> {
    const at = this.#stage.random.between(0, this.players.length - 1);
    const player = this.players.splice(at, 1)[0]!;
    await end(player);
    this.#free.push(this.#numbers.get(player)!);
  }

  /** All at once. */
  async tell<T>(command: DwellerCommand): Promise<T[]> {
    return await Promise.all(
      this.players.map((player) => player.ask<T>(command, command)),
    );
  }

  checkAlive(): void {
    for (const { title, end } of this.players) check(end === null, `${title} ${end}`);
  }

  async end(): Promise<void> {
    while (this.players.length > 0) await this.remove(closed);
  }
}

async function closed(player: Player): Promise<void> {
  await player.ask("the close", "close" satisfies DwellerCommand);
  const said = await player.ends();
  check(said === "", `${player.title} has said: ${said}`);
}

async function storm(stage: NodeStage, crowd: Crowd, milliseconds: number): Promise<Tally> {
  const { random } = stage;
  const tally = new Tally();
  const end = performance.now() + milliseconds;
  let nextReport = performance.now() + 60_000;
  while (performance.now() < end) {
    await pause(random.between(10, 300));
    crowd.checkAlive();
    const what = random.weighted(
      [["killed", 4], ["stopped", 4], ["closed", 1], ["reopened", 2]] as const,
    );
    tally.add(what);
    await actions[what](stage, crowd);
    if (crowd.players.length <= dwellers - startsMax) await crowd.fill(dwellers);
    if (performance.now() < nextReport) continue;
    nextReport += 60_000;
    console.log(`  ${tally}, ${Math.round((end - performance.now()) / 1000)} s left`);
  }
  return tally;
}

const actions = {
  async killed(_: NodeStage, crowd: Crowd): Promise<void> {
    await crowd.remove((player) => player.killed());
  },
  async stopped({ random }: NodeStage, crowd: Crowd): Promise<void> {
    const stopped = new Set(Array.from({ length: 3 }, () => random.pick(crowd.players)));
    for (const player of stopped) player.deliver("SIGSTOP");
    await pause(random.between(0, 600));
    for (const player of stopped) player.deliver("SIGCONT");
  },
  async closed(_: NodeStage, crowd: Crowd): Promise<void> {
    await crowd.remove(closed);
  },
  async reopened({ random }: NodeStage, crowd: Crowd): Promise<void> {
    const player = random.pick(crowd.players);
    await player.ask("the close", "close" satisfies DwellerCommand);
    await player.ask("another start", "open" satisfies DwellerCommand);
  },
};

interface Found {
  readonly numbers: number;
  readonly ends: number;
  readonly entries: number;
}

/** Waits until all agree. What they never agree on is in the error. */
export async function atRest(_: NodeStage, crowd: Crowd): Promise<Found> {
  await crowd.tell("rest");
  let problem = "";
  try {
    return await eventually("agreement", async () => {
      crowd.checkAlive();
      const reports = await crowd.tell<Report>("report");
      problem = disagreement(reports);
      return problem === "" ? sumOf(reports) : null;
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}: ${problem}`);
  }
}

/** What is not as it has to be; empty: nothing. */
function disagreement(reports: readonly Report[]): string {
  const nodes = reports.map(({ node }) => node).toSorted();
  const ports = new Set(reports.map(({ port }) => port));
  const byPort = new Map(reports.map((report) => [report.port, report]));
  const [first] = reports;
  for (const report of reports) {
    const all = [...report.nodes, report.node].toSorted();
    if (`${all}` !== `${nodes}`) return `${report.node} knows ${all}, but there are ${nodes}`;
    for (const port of ports) {
      if (port !== report.port && !report.known[port]) return `${report.node} has not met ${port}`;
    }
    for (const [port, { sent, ends, late, lateEnds }] of Object.entries(report.known)) {
      const due = ports.has(port) ? 0 : 1;
      if (ends !== due) return `the monitor of ${port} at ${report.node} has fired ${ends} times`;
      if (late !== lateEnds) return `${lateEnds} of ${late} late monitors of ${port} have fired`;
      const got = byPort.get(port)?.got[report.port] ?? 0;
      if (due === 0 && got !== sent) return `${port} has ${got} of ${sent} of ${report.port}`;
    }
    const view = viewOf(report);
    if (view !== viewOf(first!)) {
      return `${report.node} sees ${view}, ${first!.node} ${viewOf(first!)}`;
    }
  }
  return entriesProblem(reports);
}

function viewOf({ seen }: Report): string {
  return JSON.stringify(Object.entries(seen).toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** What all see has to be what was set. */
function entriesProblem(reports: readonly Report[]): string {
  const { seen } = reports[0]!;
  for (const [key, [value, node]] of Object.entries(seen)) {
    const owner = reports.find((report) => report.node === node);
    if (owner?.set[key] !== value) return `${key} is ${value} of ${node}, which has not set it`;
  }
  for (const { set, node } of reports) {
    for (const key of Object.keys(set)) {
      if (!seen[key]) return `${key} of ${node} is missing`;
      if (!key.startsWith(shared) && seen[key][1] !== node) return `${key} is not that of ${node}`;
    }
  }
  return "";
}

function sumOf(reports: readonly Report[]): Found {
  let [numbers, ends] = [0, 0];
  for (const { got, known } of reports) {
    for (const { port } of reports) numbers += got[port] ?? 0;
    for (const each of Object.values(known)) ends += each.ends + each.lateEnds;
  }
  return { numbers, ends, entries: Object.keys(reports[0]!.seen).length };
}

/** One that has seen all of it has no more than one that has just come. */
async function level(stage: NodeStage, crowd: Crowd): Promise<void> {
  await crowd.players[0]!.ask("the claims", "claim all" satisfies DwellerCommand);
  const old = [...crowd.players];
  const fresh = new Map<Runtime, { descriptors: number; mappings: number }>();
  for (const runtime of stage.plan.runtimes) {
    const player = await crowd.add(runtime);
    // It has to know all others for that.
    await eventually(`the others, by ${player.title}`, async () => {
      const { nodes } = await player.ask<Report>("a report", "report" satisfies DwellerCommand);
      return nodes.length === crowd.players.length - 1 ? true : null;
    });
    await player.ask("the rest", "rest" satisfies DwellerCommand);
    fresh.set(runtime, { descriptors: player.descriptors, mappings: mappingsOf(stage, player) });
  }
  for (const player of old) {
    const { descriptors, mappings } = fresh.get(player.runtime)!;
    const known = `${player.title} has ${player.descriptors} descriptors and ` +
      `${mappingsOf(stage, player)} mappings, a new one ${descriptors} and ${mappings}`;
    check(player.descriptors <= descriptors + descriptorsSpare, known);
    check(mappingsOf(stage, player) <= mappings + descriptorsSpare, known);
  }
}

/** How many pieces of the nodes' files a process has in its memory. */
function mappingsOf({ folder }: NodeStage, { pid }: Player): number {
  return readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")
    .filter((line) => line.includes(folder)).length;
}
