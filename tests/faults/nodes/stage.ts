/**
 * What the scenes of the proof of nodes share: a group of nodes in other processes, in a folder of its own.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Server } from "../../../mod.ts";
import { Random } from "../chaos/random.ts";
import { check, pause, type Plan } from "../pool/stage.ts";
import { programCommand, type Runtime, Talker } from "../talker.ts";

/** How long a busy machine may take for anything, in milliseconds. */
const patience = 120_000;

/** Throws when something is waited for in vain. */
export function watch(what: string): () => void {
  const deadline = Date.now() + patience;
  return () => check(Date.now() < deadline, `${what} is waited for in vain`);
}

/** Asks again and again until there is an answer: one that is not null. */
export async function eventually<T>(what: string, ask: () => Promise<T | null>): Promise<T> {
  const waiting = watch(what);
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    waiting();
    await pause(10);
  }
}

/** A process of the scene. It takes a command a line, and answers each with a line; both are JSON. */
export class Player extends Talker {
  readonly runtime: Runtime;

  constructor(runtime: Runtime, program: string, plan: object, folder: string) {
    const file = `tests/faults/nodes/${program}.ts`;
    const command = [...programCommand(runtime, file), JSON.stringify(plan)];
    super(`${runtime} ${program}`, command, { TANDEM_DIR: folder });
    this.runtime = runtime;
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** What it says next. */
  async hear<T>(what: string): Promise<T> {
    return JSON.parse(await this.line(watch(`${what} of ${this.title}`))) as T;
  }

  async ask<T>(what: string, command: unknown): Promise<T> {
    this.send(JSON.stringify(command));
    return await this.hear<T>(what);
  }

  deliver(signal: NodeJS.Signals): void {
    check(this.process.kill(signal), `${this.title} ${this.end}`);
  }

  async killed(): Promise<void> {
    this.deliver("SIGKILL");
    await this.closed;
    check(this.signal === "SIGKILL", `${this.title} ${this.end}`);
  }

  /** Its input ends, and it does, too. */
  async ends(): Promise<string> {
    this.process.stdin!.end();
    await eventually(`the end of ${this.title}`, () => Promise.resolve(this.end));
    const said = /^ended by code 0: (.*)$/s.exec(this.end!)?.[1];
    check(said !== undefined, `${this.title} ${this.end}`);
    return said;
  }

  /** The open descriptors of the process. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }
}

/** A scene: its folder, its processes and its decisions. */
export class NodeStage {
  /** Where the nodes meet. */
  readonly folder: string = mkdtempSync("/dev/shm/tandem-nodes-");
  /** What the processes write down. */
  readonly notes: string = join(this.folder, "notes");
  readonly group: string = "proof";
  readonly plan: Plan;
  readonly random: Random;
  readonly #players: Player[] = [];

  constructor(plan: Plan, stream: number) {
    this.plan = plan;
    this.random = new Random(plan.seed, stream);
    mkdirSync(this.notes);
  }

  /** The number for the full proof, or the one for every day. */
  size(full: number, bounded: number): number {
    return this.plan.isFull ? full : bounded;
  }

  /** The runtime of the process with that number. */
  runtimeOf(number: number): Runtime {
    const { runtimes } = this.plan;
    return runtimes[number % runtimes.length]!;
  }

  /** Starts a process. Its first line says that it runs, which this waits for. */
  async start(runtime: Runtime, program: string, plan: object): Promise<Player> {
    const { group, notes } = this;
    const player = new Player(runtime, program, { group, notes, ...plan }, this.folder);
    this.#players.push(player);
    await player.hear("the greeting");
    return player;
  }

  /** The channel in which the nodes meet. */
  get hall(): string {
    return join(this.folder, `${this.group}.nodes.tandem`);
  }

  /** The files beside the notes. */
  files(): string[] {
    return readdirSync(this.folder, { recursive: true })
      .map(String)
      .filter((name) => !name.startsWith("notes"));
  }

  /** No process is left, and no file beside those that stay on purpose. */
  async end(): Promise<void> {
    for (const { title, end } of this.#players) check(end !== null, `${title} is left`);
    Server.unlink(this.hall);
    rmSync(this.notes, { recursive: true });
    // The count of the claims' tokens.
    const left = this.files().filter((name) => name !== `lock__${this.group}.claims.limit`);
    check(left.length === 0, `left behind: ${left}`);
    await this.abandon();
  }

  async abandon(): Promise<void> {
    for (const player of this.#players) player.kill();
    await Promise.all(this.#players.map(({ closed }) => closed));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
