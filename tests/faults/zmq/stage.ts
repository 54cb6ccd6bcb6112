/**
 * What the scenes of the proof of doors share: pools, doors and clients in other processes.
 *
 * @module
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkout } from "../../../scripts/tools.ts";
import { Pool, type PoolOptions } from "../../../src/pool/main.ts";
import type { ZmqDoorOptions, ZmqDoorStats } from "../../../src/zmq/main.ts";
import { check, type Plan, Stage } from "../pool/stage.ts";
import { programCommand, type Runtime, runtimes, Talker } from "../talker.ts";
import { Ledger } from "./ledger.ts";
import { type LoadPlan, type Outcome, readOutcomes } from "./load.ts";

/** The interface of the worker file. */
type Echo = (request: Uint8Array) => Promise<string>;

/** How long a busy machine may take for anything. */
const patience = 120_000;

const workerFile = new URL("./worker.ts", import.meta.url);

/** Throws when something is waited for in vain. */
export function watch(what: string): () => void {
  const deadline = Date.now() + patience;
  return () => check(Date.now() < deadline, `${what} is waited for in vain`);
}

/** A process with a door. */
export class Door extends Talker {
  #endpoint = "";

  /** @throws {Error} with the code in its message when the door cannot listen */
  static async open(runtime: Runtime, options: ZmqDoorOptions): Promise<Door> {
    const program = programCommand(runtime, "tests/faults/zmq/door.ts");
    const door = new Door(`${runtime} door`, [...program, JSON.stringify(options)]);
    await door.line(watch("a greeting"));
    const report = JSON.parse(await door.line(watch("a door"))) as {
      endpoint?: string;
      code?: string;
    };
    check(report.endpoint !== undefined, `the door cannot listen: ${report.code}`);
    door.#endpoint = report.endpoint;
    return door;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  get port(): number {
    return Number(/:(\d+)$/.exec(this.#endpoint)![1]);
  }

  get pid(): number {
    return this.process.pid!;
  }

  async stats(): Promise<ZmqDoorStats> {
    this.send("stats");
    return JSON.parse(await this.line(watch("numbers"))) as ZmqDoorStats;
  }

  /** Waits until the numbers are as they have to be. */
  async settles(what: string, isSettled: (stats: ZmqDoorStats) => boolean): Promise<ZmqDoorStats> {
    const waiting = watch(what);
    for (;;) {
      const stats = await this.stats();
      if (isSettled(stats)) return stats;
      try {
        waiting();
      } catch {
        throw new Error(`never happened: ${what}; the door has ${JSON.stringify(stats)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** The open descriptors of the process. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** The memory that it uses for itself, in bytes: without the channel, which it shares. */
  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)![1]) * 1024;
  }

  async close(): Promise<void> {
    this.send("close");
    check(await this.line(watch("the close of a door")) === '"closed"', "the door is not closed");
    await this.closed;
  }
}

/** What a scene may leave open of a client's plan. */
export type Load =
  & Pick<LoadPlan, "form" | "endpoint" | "clients" | "calls">
  & Partial<LoadPlan>;

export type Library = "pyzmq" | "zeromq";

/** A scene. */
export class ZmqStage extends Stage {
  readonly #talkers: Talker[] = [];
  readonly #pools: Pool<Echo>[] = [];
  /** A folder for what is no channel. */
  readonly notes: string = mkdtempSync(join(tmpdir(), "tandem-zmq-"));
  #nextId = 1;
  #nextRuntime: number;

  constructor(plan: Plan, stream: number) {
    super(plan, stream);
    this.#nextRuntime = plan.seed + stream;
  }

  /** Each door runs in another one. */
  get runtime(): Runtime {
    return runtimes[this.#nextRuntime++ % runtimes.length]!;
  }

  get target(): string {
    return join(this.folder, "channel.tandem");
  }

  /** A pool that serves the target. */
  async workers(options: PoolOptions): Promise<Pool<Echo>> {
    const pool = new Pool<Echo>(workerFile, this.options({ target: this.target, ...options }));
    this.#pools.push(pool);
    await pool.ready;
    return pool;
  }

  /** A door to the target, at a port that nobody else has. */
  async door(
    options: Partial<ZmqDoorOptions> = {},
    runtime: Runtime = this.runtime,
  ): Promise<Door> {
    const all = { target: this.target, frontend: "tcp://127.0.0.1:0", ...options };
    return this.own(await Door.open(runtime, all));
  }

  /** Ends it with the scene, if the scene fails. */
  own<T extends Talker>(talker: T): T {
    this.#talkers.push(talker);
    return talker;
  }

  /** Lets a process of clients work. Resolves with the outcome of each call. */
  async load(library: Library, load: Load): Promise<Outcome[]> {
    const first = this.#nextId;
    this.#nextId += load.calls;
    const plan: LoadPlan = {
      outstanding: 1,
      identity: null,
      idFrame: false,
      first,
      work: [0, 0],
      patience: null,
      retried: [],
      seed: this.random.between(0, 2 ** 30),
      results: join(this.notes, `results-${first}`),
      ...load,
    };
    const talker = this.own(
      new Talker(library, [...command(library), JSON.stringify(plan)], {
        PYTHONPATH: join(checkout, ".tools/pyzmq"),
      }),
    );
    // However long it takes: the clients themselves notice when nothing happens any more.
    await talker.line(() => {});
    await talker.line(() => {});
    await talker.closed;
    const outcomes = readOutcomes(readFileSync(plan.results, "utf8"));
    check(outcomes.length === plan.calls, `${outcomes.length} of ${plan.calls} calls have ended`);
    return outcomes;
  }

  /** What the workers have written down. */
  ledger(): Ledger {
    return new Ledger(join(this.folder, "ledger"));
  }

  override async end(): Promise<void> {
    for (const talker of this.#talkers) {
      check(talker.end !== null, `${talker.title} is left`);
    }
    await super.end();
  }

  override async abandon(): Promise<void> {
    for (const talker of this.#talkers) talker.kill();
    await Promise.all(this.#pools.map((pool) => pool.close({ timeout: 0 })));
    await super.abandon();
  }

  override clear(): void {
    rmSync(this.notes, { recursive: true, force: true });
    super.clear();
  }
}

function command(library: Library): readonly string[] {
  return library === "pyzmq"
    ? ["/usr/bin/env", "python3", join(checkout, "tests/faults/zmq/clients.py")]
    : programCommand("node", "tests/faults/zmq/clients.ts");
}
