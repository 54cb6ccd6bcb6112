/**
 * Shared code of the tests of pools: it starts pools, talks with their workers through journals, and looks at processes.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { TandemError } from "../../mod.ts";
import { programOf, workerArgs } from "../../scripts/tools.ts";
import {
  Pool,
  type PoolOptions,
  type WorkerEvent,
  type WorkerExit,
  type WorkerInfo,
} from "../../src/pool/main.ts";
import { allMemoryKills } from "../../src/pool/supervisor/proc.ts";
import type { Mode } from "../fixtures/pool/changing.ts";
import type { Api } from "../fixtures/pool/worker.ts";
import { atEnd, eventually, folder, newTarget, present } from "./harness.ts";

/** The file of a worker in `fixtures/pool/`, or its bundle. */
export function workerFile(name: string): URL {
  const file = programOf(new URL(`../fixtures/pool/${name}`, import.meta.url));
  return file instanceof URL ? file : pathToFileURL(file);
}

/** What workers of this checkout need, and a limit for the ends of tests that have failed. */
export const poolDefaults: PoolOptions = {
  runtimeArgs: workerArgs(),
  stopTimeout: 15_000,
};

/** Starts a pool, which is closed when the test ends. */
export function startPool<A extends object = Api>(
  options: PoolOptions = {},
  file: string | URL = workerFile("worker.ts"),
): Pool<A> {
  const pool = new Pool<A>(file, { ...poolDefaults, ...options });
  // One that never became ready rejects, which is no error of the test.
  pool.ready.catch(() => {});
  atEnd(() => pool.close());
  return pool;
}

/** Starts a pool of exactly so many workers and waits until they are ready. */
export async function readyPool(workers: number, options: PoolOptions = {}): Promise<Pool<Api>> {
  const pool = startPool({ min: workers, max: workers, ...options });
  await pool.ready;
  return pool;
}

/** A file in which workers write down what they do. */
export class Journal {
  readonly path: string = newTarget();

  /** The lines so far. */
  get lines(): string[] {
    if (!existsSync(this.path)) return [];
    return readFileSync(this.path, "utf8").split("\n").filter((line) => line !== "");
  }

  /** Waits for a line. */
  async has(line: string): Promise<void> {
    await eventually(() => this.lines.includes(line), `the journal has "${line}": ${this.lines}`);
  }

  /** Lets a call end that waits for this. */
  release(name: string): void {
    writeFileSync(`${this.path}.${name}`, "");
  }
}

/** A file that tells workers of fixtures/pool/changing.ts how to start. */
export class ModeFile {
  readonly path: string = newTarget();

  constructor(mode: Mode, version = "1") {
    this.write(mode, version);
  }

  write(mode: Mode, version: string): void {
    // At once: a worker that starts meanwhile reads the old text or the new one.
    writeFileSync(`${this.path}.new`, `${mode}\n${version}\n`);
    renameSync(`${this.path}.new`, this.path);
  }

  /** Lets workers go on that wait in their setup. */
  letGo(): void {
    writeFileSync(`${this.path}.go`, "");
  }

  /** The processes that have read it. */
  get starts(): number[] {
    const path = `${this.path}.starts`;
    return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").map(Number) : [];
  }

  get env(): Readonly<Record<string, string>> {
    return { TEST_MODE_FILE: this.path };
  }
}

/** An event, and when it came. */
export interface Seen extends WorkerEvent {
  readonly at: number;
}

/** Collects the events of a pool. */
export class Events {
  readonly all: Seen[] = [];

  constructor(pool: { onWorker(listener: (event: WorkerEvent) => void): Disposable }) {
    pool.onWorker((event) => void this.all.push({ ...event, at: performance.now() }));
  }

  of(kind: WorkerEvent["kind"]): Seen[] {
    return this.all.filter((event) => event.kind === kind);
  }

  /** How the worker with that process has ended, as soon as it has. */
  async exitOf(pid: number): Promise<WorkerExit> {
    const find = () => this.of("exited").find(({ worker }) => worker.pid === pid);
    await eventually(find, `worker process ${pid} exits`);
    const { exit } = find()!;
    assert(exit, "an exited event without an exit");
    return exit;
  }

  /** The position of an event among all. */
  indexOf(kind: WorkerEvent["kind"], pid: number): number {
    return this.all.findIndex((event) => event.kind === kind && event.worker.pid === pid);
  }

  /** Each event as `"starting 1"`. */
  get story(): string[] {
    return this.all.map(({ kind, worker }) => `${kind} ${worker.number}`);
  }
}

/** The exit that a `SERVER_DIED` error has as its cause. */
export function exitIn(error: unknown): WorkerExit {
  assert(error instanceof TandemError, String(error));
  assertEquals(error.code, "SERVER_DIED", error.message);
  const { cause } = error as { cause?: WorkerExit };
  assert(cause !== undefined && cause !== null, "SERVER_DIED has no cause");
  return cause;
}

/** A worker that can take calls. */
export function readyWorker(pool: { workers(): readonly WorkerInfo[] }): WorkerInfo {
  return present(readyWorkers(pool)[0]);
}

/** The workers that can take calls. */
export function readyWorkers(pool: { workers(): readonly WorkerInfo[] }): WorkerInfo[] {
  return pool.workers().filter(({ state }) => state === "idle" || state === "busy");
}

/** Whether there is such a process, also as a zombie. */
export function exists(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** Waits until these processes are gone without a trace. */
export async function allGone(pids: readonly number[]): Promise<void> {
  const left = () => pids.filter(exists);
  await eventually(() => left().length === 0, `these processes end: ${left()} of ${pids}`);
}

/** Waits until these processes have ended. A zombie, which its parent has yet to notice, has ended. */
export async function allEnded(pids: readonly number[]): Promise<void> {
  await eventually(() => pids.every(hasEnded), `these processes end: ${pids}`);
}

function hasEnded(pid: number): boolean {
  try {
    return statOf(pid)[0] === "Z";
  } catch {
    return true;
  }
}

/** The fields of /proc/PID/stat behind the name: state, parent, process group, session… */
export function statOf(pid: number | "self"): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The processes that this one has started and that are not yet reaped. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((child) => {
    try {
      return Number(statOf(child)[1]) === pid;
    } catch {
      return false;
    }
  });
}

/** The open descriptors of this process, without the one that the look itself opens. */
export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/**
 * A group of processes with that much memory. The name is a path in the file system, which is removed when the test
 * ends; a text in place of it says why this machine allows none.
 */
export function memoryGroup(bytes: number): { readonly path: string } | { readonly why: string } {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const first = lines.find((line) => line.split(":")[1] === "memory");
  const second = lines.find((line) => line.startsWith("0::"));
  const [parent, limit] = first
    ? [`/sys/fs/cgroup/memory${first.split(":")[2]}`, "memory.limit_in_bytes"]
    : [`/sys/fs/cgroup${second?.split(":")[2]}`, "memory.max"];
  const path = join(parent, `tandem-pool-${process.pid}-${groups += 1}`);
  try {
    mkdirSync(path);
    if (!existsSync(join(path, limit))) throw new Error(`${limit} is missing`);
    writeFileSync(join(path, limit), String(bytes));
    return { path };
  } catch (error) {
    if (existsSync(path)) rmdirSync(path);
    return { why: (error as Error).message };
  }
}

let groups = 0;

/**
 * Makes `attempt`, and makes it again if it has failed while the kernel has killed any process for lack of memory, as
 * other tests let it do: where groups of processes do not count that, a pool takes the end of its worker for such a one.
 */
export async function undisturbed(attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    const before = allMemoryKills();
    try {
      return await attempt();
    } catch (error) {
      if (allMemoryKills() === before) throw error;
    }
  }
}

/** The path of a fixture, for a pool in another process. */
export function workerPath(name: string): string {
  return fileURLToPath(workerFile(name));
}

/** Writes a file into the test's folder. */
export function writeFile(name: string, content: string): string {
  const path = join(folder(), name);
  writeFileSync(path, content);
  return path;
}
