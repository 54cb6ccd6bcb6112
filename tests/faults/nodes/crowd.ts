/**
 * Nodes that all talk to each other, in processes of their own, and what has to be true of them when they rest.
 *
 * @module
 */
import { check } from "../pool/stage.ts";
import type { Runtime } from "../talker.ts";
import type { DwellerCommand } from "./dweller.ts";
import { type Report, shared } from "./dwelling.ts";
import { eventually, type NodeStage, type Player } from "./stage.ts";

/** So many are started at a time. */
const startsMax = 3;

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

  /** @param remarksMax how much each may have said on the console */
  async end(remarksMax = 0): Promise<void> {
    while (this.players.length > 0) await this.remove((player) => closed(player, remarksMax));
  }
}

/** Closes a node, and ends its process. */
export async function closed(player: Player, remarksMax = 0): Promise<void> {
  await player.ask("the close", "close" satisfies DwellerCommand);
  const said = await player.ends();
  check(said.length <= remarksMax, `${player.title} has said: ${said}`);
}

export interface Found {
  readonly numbers: number;
  readonly ends: number;
  readonly entries: number;
}

/** Waits until all agree. What they never agree on is in the error. */
export async function atRest(crowd: Crowd): Promise<Found> {
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
