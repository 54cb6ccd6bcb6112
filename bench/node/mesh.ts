/**
 * Measures a mesh of nodes, each in a process of its own and each with a monitor on a port of every other: what it costs
 * while nothing happens, and how soon all know of a node that comes, leaves or is killed.
 *
 *     bun bench/node/mesh.ts [--nodes N] [--rounds N] [--seconds N] [--full] [--check]
 *
 * `--full` lets a thousand more nodes come and be killed. Half of the nodes run in Deno and half in Bun. All
 * times are of CLOCK_MONOTONIC (lib/clock.ts): from the call of `Node.start`, of `close`, or of the kill, to the
 * JavaScript of the last of the others. Beside the mesh, a process of each runtime waits for its parent and does
 * nothing else.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { machineNow } from "../lib/clock.ts";
import { judge } from "../lib/options.ts";
import { type Bar, isMet } from "../lib/outcome.ts";
import { Child } from "../lib/parent.ts";
import type { Runtime } from "../lib/runtimes.ts";
import { fixed, summarize, type Summary, whole } from "../lib/stats.ts";
import { Target } from "../lib/target.ts";
import { Server } from "../../mod.ts";
import { watchUsage } from "../lib/usage.ts";
import type { Order, Word } from "./member.ts";

/** How large, and how long. */
export interface MeshTerms {
  readonly nodes: number;
  /** Of joins, leaves and kills, each. */
  readonly rounds: number;
  /** Of idleness. */
  readonly seconds: number;
  /** Before it. */
  readonly settleSeconds: number;
  /** How many nodes come and are killed at the end, one after another. */
  readonly churn: number;
}

/** A node that comes or goes. */
interface Change {
  /** Until the last of the others knew. */
  readonly ms: number;
  /** What the first threads of the others have run for it, together. */
  readonly cpu: number;
}

type Way = "join" | "leave" | "kill";

type Said<What> = Extract<Word, { what: What }>;

const module = new URL("./member.ts", import.meta.url);
const portsOfAll = 10_000;
const stoppedAtOnce = 17;
const startedAtOnce = 4;
/** How long the others may work on after the last knows, in milliseconds. */
const settling = 100;
const meshRuntimes: readonly Runtime[] = ["deno", "bun"];

/** A process of the mesh. */
class Member {
  readonly runtime: Runtime;
  readonly child: Child;
  id = "";
  port = "";

  private constructor(runtime: Runtime, group: string, ports: number) {
    this.runtime = runtime;
    this.child = Child.of(runtime, module, [group, `${ports}`]);
  }

  /** Starts the process, and no node. */
  static async of(runtime: Runtime, group: string, ports: number): Promise<Member> {
    const member = new Member(runtime, group, ports);
    await member.child.receive();
    return member;
  }

  order(order: Order): void {
    this.child.send(order);
  }

  async hear<What extends Word["what"]>(what: What): Promise<Said<What>> {
    for (;;) {
      const word = await this.child.receive<Word>();
      if (word.what === what) return word as Said<What>;
    }
  }

  /** Starts the node. Returns when that began. */
  async start(): Promise<number> {
    this.order({ do: "start" });
    const { at, id, port } = await this.hear("started");
    this.id = id;
    this.port = port;
    return at;
  }

  async fired(port: string): Promise<Said<"fired">> {
    for (;;) {
      const word = await this.hear("fired");
      if (word.port === port) return word;
    }
  }

  /** What its first thread has run, in milliseconds. */
  get ranMs(): number {
    return Number(readFileSync(`/proc/${this.child.pid}/schedstat`, "utf8").split(" ")[0]) / 1e6;
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.child.pid}/fd`).length;
  }

  /** In MiB: memory that is this process's alone, and its part of shared memory. */
  get memory(): number {
    const text = readFileSync(`/proc/${this.child.pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? NaN) / 1024;
  }
}

/** What an idle mesh costs. */
export interface Idle {
  /** Of one core, all nodes together, beyond as many processes that do nothing. */
  readonly percent: number;
  /** Including what the runtimes do. */
  readonly percentWithRuntimes: number;
  /** Of the worst node, a second: beyond the process of its runtime that does nothing, and with it. */
  readonly wakeups: number;
  readonly wakeupsWithRuntime: number;
  readonly descriptors: number;
  readonly rows: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** What is left of nodes that have come and were killed: the differences per node that stays. */
export interface Churn {
  readonly descriptors: number;
  readonly memory: number;
}

/** The figures. Times are in milliseconds. */
export interface MeshFigures {
  readonly idle: Idle;
  readonly times: Readonly<Record<Way, Summary>>;
  /** The median of what the others have run for one. */
  readonly cpu: Readonly<Record<Way, number>>;
  /** While others are stopped. */
  readonly stopped: number;
  readonly churn: Churn | null;
}

class Mesh implements AsyncDisposable {
  readonly #target = new Target("mesh");
  readonly #terms: MeshTerms;
  readonly #ports: number;
  members: Member[] = [];
  readonly #all: Member[] = [];
  #started = 0;

  constructor(terms: MeshTerms) {
    this.#terms = terms;
    this.#ports = Math.ceil(portsOfAll / terms.nodes);
  }

  async #process(): Promise<Member> {
    const runtime = meshRuntimes[this.#started++ % meshRuntimes.length]!;
    const member = await Member.of(runtime, this.#target.name, this.#ports);
    this.#all.push(member);
    return member;
  }

  /** Starts all nodes, and lets each monitor a port of every other. */
  async start(): Promise<void> {
    const { nodes } = this.#terms;
    while (this.members.length < nodes) {
      const count = Math.min(startedAtOnce, nodes - this.members.length);
      const started = await Promise.all(Array.from({ length: count }, () => this.#process()));
      await Promise.all(started.map((member) => member.start()));
      this.members.push(...started);
    }
    await this.#allKnow(nodes - 1);
    for (const member of this.members) {
      const others = this.members.filter((other) => other !== member);
      member.order({ do: "monitor", ports: others.map(({ port }) => port) });
      await member.hear("monitors");
    }
  }

  async #allKnow(count: number): Promise<void> {
    for (const member of this.members) member.order({ do: "know", count });
    await Promise.all(this.members.map((member) => member.hear("knows")));
  }

  watch(on: boolean): void {
    for (const member of this.members) member.order({ do: "watch", on });
  }

  async idle(): Promise<Idle> {
    const { seconds, settleSeconds } = this.#terms;
    const group = this.#target.name;
    const bare = await Promise.all(meshRuntimes.map((each) => Member.of(each, group, 0)));
    this.#all.push(...bare);
    const measured = [...this.members, ...bare];
    // Compilers and collectors still work after the start, those of a process that does nothing for half a minute.
    await sleep(settleSeconds * 1e3);
    const watches = measured.map(({ child }) => watchUsage(child.pid));
    await sleep(seconds * 1e3);
    const usages = watches.map((watch) => watch());
    const rows: Record<string, Record<string, string>> = {};
    let [percent, percentWithRuntimes, wakeups, wakeupsWithRuntime] = [0, 0, -Infinity, 0];
    for (const [index, runtime] of meshRuntimes.entries()) {
      const nothing = usages[this.members.length + index]!;
      const own = usages.filter((_, at) => this.members[at]?.runtime === runtime);
      const ms = own.reduce((sum, { ranMs }) => sum + ranMs, 0) / seconds;
      const wakes = own.map((usage) => usage.wakeups / seconds);
      const most = Math.max(...wakes);
      const idle = { ms: nothing.ranMs / seconds, wakeups: nothing.wakeups / seconds };
      percentWithRuntimes += ms / 10;
      percent += (ms - idle.ms * own.length) / 10;
      wakeups = Math.max(wakeups, most - idle.wakeups);
      wakeupsWithRuntime = Math.max(wakeupsWithRuntime, most);
      const members = this.members.filter((member) => member.runtime === runtime);
      rows[`${runtime}, a node`] = {
        "ms a second": fixed(ms / own.length, 3),
        "wake-ups a second": fixed(wakes.reduce((sum, each) => sum + each, 0) / own.length),
        "most": fixed(most),
        "descriptors": `${Math.max(...members.map(({ descriptors }) => descriptors))}`,
        "MiB": fixed(members.reduce((sum, { memory }) => sum + memory, 0) / members.length, 1),
      };
      rows[`${runtime}, nothing`] = {
        "ms a second": fixed(idle.ms, 3),
        "wake-ups a second": fixed(idle.wakeups),
        "most": fixed(idle.wakeups),
        "descriptors": `${bare[index]!.descriptors}`,
        "MiB": fixed(bare[index]!.memory, 1),
      };
    }
    for (const { child } of bare) await child[Symbol.asyncDispose]();
    const descriptors = Math.max(...this.members.map((member) => member.descriptors));
    return { percent, percentWithRuntimes, wakeups, wakeupsWithRuntime, descriptors, rows };
  }

  /** A node comes. */
  async join(): Promise<Change> {
    const member = await this.#process();
    await sleep(200);
    const others = [...this.members];
    const ran = ranOf(others);
    const heard = others.map((other) => other.hear("up"));
    const at = await member.start();
    const words = await Promise.all(heard);
    await sleep(settling);
    const cpu = ranOf(others) - ran;
    for (const other of others) other.order({ do: "monitor", ports: [member.port] });
    member.order({ do: "monitor", ports: others.map(({ port }) => port) });
    member.order({ do: "watch", on: true });
    this.members.push(member);
    await Promise.all(this.members.map((each) => each.hear("monitors")));
    return { ms: lastOf(words) - at, cpu };
  }

  /** A node goes. */
  async lose(way: "leave" | "kill"): Promise<Change> {
    await sleep(100 + Math.random() * 100);
    const member = this.#pick(1)[0]!;
    const ran = ranOf(this.members);
    const words = this.members.map((other) => other.fired(member.port));
    let at = machineNow();
    if (way === "kill") member.child.kill();
    else {
      member.order({ do: "close" });
      ({ at } = await member.hear("closing"));
    }
    const last = lastOf(await Promise.all(words));
    await member.child.ended;
    await sleep(settling);
    return { ms: last - at, cpu: ranOf(this.members) - ran };
  }

  /** Takes random members out of the list. */
  #pick(count: number): Member[] {
    return Array.from({ length: count }, () => {
      const at = Math.floor(Math.random() * this.members.length);
      return this.members.splice(at, 1)[0]!;
    });
  }

  /** Kills a node while others are stopped. Returns how long it took until all that run knew. */
  async loseWhileStopped(): Promise<number> {
    const count = Math.min(stoppedAtOnce, this.members.length - 2);
    const [victim, ...stopped] = this.#pick(count + 1) as [Member, ...Member[]];
    for (const { child } of stopped) process.kill(child.pid, "SIGSTOP");
    const words = this.members.map((other) => other.fired(victim.port));
    const at = machineNow();
    victim.child.kill();
    const last = lastOf(await Promise.all(words));
    for (const { child } of stopped) process.kill(child.pid, "SIGCONT");
    await Promise.all(stopped.map((other) => other.fired(victim.port)));
    this.members.push(...stopped);
    return last - at;
  }

  /** Nodes come and are killed. What the others have more afterwards. */
  async churn(): Promise<Churn | null> {
    if (this.#terms.churn === 0) return null;
    this.watch(false);
    // What is made once for all nodes that come is made before the first look.
    await this.#comeAndGo(startedAtOnce);
    const before = this.members.map(({ descriptors, memory }) => ({ descriptors, memory }));
    for (let done = 0; done < this.#terms.churn; done += startedAtOnce) {
      await this.#comeAndGo(Math.min(startedAtOnce, this.#terms.churn - done));
    }
    await this.#allKnow(this.members.length - 1);
    await sleep(3_000);
    const mean = (of: (member: Member, at: number) => number): number =>
      this.members.reduce((sum, member, at) => sum + of(member, at), 0) / this.members.length;
    return {
      descriptors: mean((member, at) => member.descriptors - before[at]!.descriptors),
      memory: mean((member, at) => member.memory - before[at]!.memory),
    };
  }

  async #comeAndGo(count: number): Promise<void> {
    const members = await Promise.all(Array.from({ length: count }, () => this.#process()));
    await Promise.all(members.map((member) => member.start()));
    for (const { child } of members) await child[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#all) child.kill();
    await Promise.all(this.#all.map(({ child }) => child.ended));
    this.#target[Symbol.dispose]();
    removeNodes(this.#target.name);
  }
}

function removeNodes(group: string): void {
  Server.unlink(`${group}.nodes`);
}

function ranOf(members: readonly Member[]): number {
  return members.reduce((sum, { ranMs }) => sum + ranMs, 0);
}

function lastOf(words: readonly { readonly at: number }[]): number {
  return Math.max(...words.map(({ at }) => at));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Measures all of it. */
export async function measureMesh(terms: MeshTerms): Promise<MeshFigures> {
  await using mesh = new Mesh(terms);
  await mesh.start();
  const idle = await mesh.idle();
  mesh.watch(true);
  const changes: Record<Way, Change[]> = { join: [], leave: [], kill: [] };
  for (let round = 0; round < terms.rounds; round++) {
    for (const way of ["kill", "leave"] as const) {
      changes[way].push(await mesh.lose(way));
      changes.join.push(await mesh.join());
    }
  }
  const stopped = await mesh.loseWhileStopped();
  const churn = await mesh.churn();
  const of = <T>(make: (changes: Change[]) => T): Record<Way, T> => ({
    join: make(changes.join),
    leave: make(changes.leave),
    kill: make(changes.kill),
  });
  return {
    idle,
    times: of((all) => summarize(all.map(({ ms }) => ms))),
    cpu: of((all) => summarize(all.map(({ cpu }) => cpu)).median),
    stopped,
    churn,
  };
}

/** What the figures of a mesh of a hundred nodes must reach. */
export function meshBars({ idle, times, stopped, churn }: MeshFigures): Bar[] {
  const limit = (what: string, measured: number, must: number): Bar => ({
    what: `mesh, ${what}`,
    measured,
    must,
    isLimit: true,
    write: (value) => fixed(value, 1),
  });
  const bars = [
    limit("idle, % of one core beyond idle runtimes", idle.percent, 5),
    limit("idle, wake-ups a second beyond an idle runtime's, worst node", idle.wakeups, 2),
    limit("descriptors, worst node", idle.descriptors, 256),
  ];
  for (const [name, { median, max }] of Object.entries(times)) {
    bars.push(limit(`${name}, ms until the last knows, median`, median, 100));
    bars.push(limit(`${name}, ms until the last knows, most`, max, 500));
  }
  bars.push(limit(`kill while ${stoppedAtOnce} are stopped, ms`, stopped, 1_000));
  if (churn) {
    bars.push(limit("descriptors more after nodes have come and gone", churn.descriptors, 1));
    bars.push(limit("MiB more after nodes have come and gone", churn.memory, 8));
  }
  return bars;
}

/** Rows for a table of the times. */
export function timeRows(
  { times, cpu, stopped }: MeshFigures,
): Record<string, Record<string, string>> {
  const rows: Record<string, Record<string, string>> = {};
  for (const way of ["join", "leave", "kill"] as const) {
    const { count, median, p90, max } = times[way];
    rows[way] = {
      times: `${count}`,
      "median, ms": fixed(median, 1),
      "p90, ms": fixed(p90, 1),
      "max, ms": fixed(max, 1),
      "CPU of the others, ms": fixed(cpu[way], 1),
    };
  }
  rows[`kill while ${stoppedAtOnce} are stopped`] = { times: "1", "max, ms": fixed(stopped, 1) };
  return rows;
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const { values } = parseArgs({
    options: {
      nodes: { type: "string", default: "100" },
      rounds: { type: "string", default: "15" },
      seconds: { type: "string", default: "10" },
      full: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const figures = await measureMesh({
    nodes: Number(values.nodes),
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    settleSeconds: 40,
    churn: values.full ? 1_000 : 0,
  });
  const { idle, churn } = figures;
  console.log(
    `idle, all nodes: ${fixed(idle.percentWithRuntimes)} % of one core, ` +
      `${fixed(idle.percent)} % beyond idle runtimes`,
  );
  console.table(idle.rows);
  console.table(timeRows(figures));
  if (churn) {
    console.log(
      `after ${whole(1_000)} nodes have come and were killed, a node has ` +
        `${fixed(churn.descriptors)} descriptors and ${fixed(churn.memory)} MiB more`,
    );
  }
  const bars = meshBars(figures).map((bar) => ({
    what: `${bar.what}: ${bar.write(bar.measured)} ≤ ${bar.write(bar.must)}`,
    met: isMet(bar, bar.must),
  }));
  judge(bars, { check: values.check, count: 1 });
}
