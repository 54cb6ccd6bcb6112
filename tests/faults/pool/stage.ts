/**
 * What all scenes of the proof of pools share: pools, the ledger of their tasks, and looks at processes.
 *
 * @module
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Server } from "../../../mod.ts";
import { workerArgs } from "../../../scripts/tools.ts";
import { Pool, type PoolOptions } from "../../../src/pool/main.ts";
import { Random } from "../chaos/random.ts";
import type { Runtime } from "../talker.ts";
import type { Api } from "./worker.ts";

/** The size of the proof. */
export interface Plan {
  readonly seed: number;
  readonly isFull: boolean;
  readonly runtimes: readonly Runtime[];
}

/** How long to wait for an expected event on a busy machine. */
const patience = 60_000;

/** The variable by which processes of a scene are found, whoever their parent is. */
const mark = "TANDEM_POOL_SCENE";

/** A scene, its folder and its processes. */
export class Stage {
  readonly folder: string = mkdtempSync("/dev/shm/tandem-pool-");
  readonly random: Random;
  readonly plan: Plan;
  /** Where tasks leave their traces. */
  readonly #ledger = join(this.folder, "ledger");
  readonly #token: string;
  readonly #pools: Pool<Api>[] = [];

  constructor(plan: Plan, stream: number) {
    this.plan = plan;
    this.random = new Random(plan.seed, stream);
    this.#token = `${process.pid}-${stream}`;
  }

  /** The number for the full proof, or the one for every day. */
  size(full: number, bounded: number): number {
    return this.plan.isFull ? full : bounded;
  }

  /** Options of every pool of the scene. */
  options(options: PoolOptions): PoolOptions {
    return {
      runtime: this.plan.runtimes,
      runtimeArgs: workerArgs(),
      env: { TANDEM_POOL_LEDGER: this.#ledger, [mark]: this.#token },
      ...options,
    };
  }

  pool(options: PoolOptions): Pool<Api> {
    const pool = new Pool<Api>(workerFile, this.options(options));
    this.#pools.push(pool);
    return pool;
  }

  /** How often each task has begun. */
  traces(): Map<number, number> {
    const traces = new Map<number, number>();
    if (!existsSync(this.#ledger)) return traces;
    for (const line of readFileSync(this.#ledger, "utf8").split("\n")) {
      if (line === "") continue;
      const id = Number(line);
      traces.set(id, (traces.get(id) ?? 0) + 1);
    }
    return traces;
  }

  /** The living processes of the scene's pools, also those that no pool knows of. */
  processes(): number[] {
    return processIds().filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(`${mark}=${this.#token}\0`);
      } catch {
        return false;
      }
    });
  }

  /** Ends the scene: no process, no zombie, and no file besides the ledger may be left. */
  async end(): Promise<void> {
    await until(() => this.processes().length === 0, "no process of the scene is left");
    await until(() => zombies().length === 0, "no zombie is left");
    rmSync(this.#ledger, { force: true });
    // Channels with names stay for the next supervisor.
    for (const name of readdirSync(this.folder)) {
      if (name.endsWith(".tandem")) Server.unlink(join(this.folder, name));
    }
    const left = readdirSync(this.folder, { recursive: true });
    check(left.length === 0, `left behind: ${left}`);
    this.clear();
  }

  /** After a failure. */
  async abandon(): Promise<void> {
    // Else they would go on to start workers.
    await Promise.all(this.#pools.map((pool) => pool.close({ timeout: 0 })));
    for (const pid of this.processes()) process.kill(pid, "SIGKILL");
    this.clear();
  }

  clear(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The file of the scenes' workers. */
export const workerFile: URL = new URL("./worker.ts", import.meta.url);

function processIds(): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Children of this process that have ended and were not waited for. */
function zombies(): number[] {
  return processIds().filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" && Number(parent) === process.pid;
    } catch {
      return false;
    }
  });
}

/** The open descriptors of this process. */
export function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** The memory of this process without garbage, in bytes. */
export function residentBytes(): number {
  const { Bun, gc } = globalThis as { Bun?: { gc(force: boolean): void }; gc?: () => void };
  if (Bun) Bun.gc(true);
  else gc?.();
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
}

export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + patience;
  while (!condition()) {
    check(Date.now() < deadline, `never happened: ${what}`);
    await pause(2);
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** How often each code has come. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(code: string): void {
    this.#counts.set(code, this.of(code) + 1);
  }

  of(code: string): number {
    return this.#counts.get(code) ?? 0;
  }

  toString(): string {
    return [...this.#counts].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${count} ${code}`)
      .join(", ");
  }
}

/** The code of an error, which every error of a call has. */
export function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") throw error;
  return code;
}
