/**
 * Tasks of 0 to 20 ms while one of the ready workers is killed every 50 ms. Each task ends exactly once, with its result or with
 * `SERVER_DIED`; one that may run once runs no more than once; the pool is soon as big as before.
 *
 * @module
 */
import type { Pool } from "../../../src/pool/main.ts";
import { allMemoryKills } from "../../../src/pool/supervisor/proc.ts";
import { check, codeOf, descriptors, pause, type Stage, Tally, until } from "./stage.ts";
import { killWorker, readyWorkers } from "./victims.ts";
import type { Api } from "./worker.ts";

const min = 6;
const callers = 24;
const maxDeliveries = 2;
/** How long a task may take on a busy machine, in milliseconds. Only one that is lost takes longer. */
const patience = 120_000;

export async function storm(stage: Stage): Promise<string> {
  const warm = stage.pool({ min: 1, max: 1 });
  await warm.ready;
  await warm.close();
  const before = descriptors();

  const tasks = stage.size(10_000, 800);
  const kills = stage.size(200, 60);
  const pool = stage.pool({
    min,
    max: min,
    idempotent: ["again"],
    maxDeliveries,
    timeout: patience,
    target: `${stage.folder}/storm.tandem`,
  });
  await pool.ready;
  const storming = new Storm(stage, pool, tasks, kills);
  const back = await storming.play();
  await pool.close();
  check(pool.workers().length === 0, "a closed pool has workers");
  await until(() => descriptors() <= before, `${descriptors()} descriptors, not ${before}`);
  const traces = stage.traces();
  const repeated = storming.audit(traces);
  // A busy machine may take any time.
  const limit = stage.size(1_000, Infinity);
  check(back <= limit, `it took ${Math.round(back)} ms to be back at min`);
  return `${storming.made} tasks, ${storming.kills} kills: ${storming.tally}; ${repeated} ran again; ` +
    `back at min ${Math.round(back)} ms after the last kill`;
}

class Storm {
  readonly tally = new Tally();
  made = 0;
  kills = 0;
  readonly #stage: Stage;
  readonly #pool: Pool<Api>;
  readonly #tasks: number;
  readonly #killsWanted: number;
  readonly #outcomes = new Map<number, string>();
  readonly #memoryKillsBefore = allMemoryKills();

  constructor(stage: Stage, pool: Pool<Api>, tasks: number, kills: number) {
    this.#stage = stage;
    this.#pool = pool;
    this.#tasks = tasks;
    this.#killsWanted = kills;
  }

  /** Returns how long after the last kill the pool was back at `min`. */
  async play(): Promise<number> {
    const calling = Promise.all(Array.from({ length: callers }, () => this.#call()));
    let isCalling = true;
    calling.then(() => isCalling = false, () => isCalling = false);
    let last = performance.now();
    let next = last;
    while (isCalling) {
      if (killWorker(this.#pool, this.#stage.random)) {
        this.kills += 1;
        last = performance.now();
      }
      next += 50;
      await pause(Math.max(0, next - performance.now()));
    }
    await calling;
    await until(() => readyWorkers(this.#pool).length >= min, "the pool is back at min");
    return performance.now() - last;
  }

  async #call(): Promise<void> {
    while (this.made < this.#tasks || this.kills < this.#killsWanted) {
      const id = this.made++;
      const milliseconds = this.#stage.random.between(0, 20);
      const outcome = await this.#outcome(id, milliseconds);
      check(!this.#outcomes.has(id), `task ${id} has ended twice`);
      this.#outcomes.set(id, outcome);
      this.tally.add(outcome);
    }
  }

  async #outcome(id: number, milliseconds: number): Promise<string> {
    const { call } = this.#pool;
    try {
      const result = await (mayRepeat(id) ? call.again : call.once)(id, milliseconds);
      check(result === id, `task ${id} has the result of ${result}`);
      return "done";
    } catch (error) {
      const code = codeOf(error);
      check(code === "SERVER_DIED", `task ${id} ended with ${code}: ${(error as Error).message}`);
      const { cause } = error as { cause?: { signal?: string | null; reason?: string } };
      check(
        cause?.signal === "SIGKILL" && this.#mayBe(cause.reason),
        `task ${id} ended SERVER_DIED because of ${JSON.stringify(cause)}`,
      );
      return code;
    }
  }

  /**
   * Whether a pool may give this reason for a SIGKILL. Where groups of processes do not count what the kernel kills for
   * lack of memory, a pool cannot tell it from a kill of the storm, and other proofs let the kernel do it.
   */
  #mayBe(reason: string | undefined): boolean {
    return reason === "crash" || (reason === "oom" && allMemoryKills() > this.#memoryKillsBefore);
  }

  /** Compares outcomes with traces. Returns how many tasks ran again. */
  audit(traces: ReadonlyMap<number, number>): number {
    check(this.#outcomes.size === this.made, `${this.#outcomes.size} of ${this.made} tasks ended`);
    let repeated = 0;
    for (const [id, outcome] of this.#outcomes) {
      const runs = traces.get(id) ?? 0;
      const limit = mayRepeat(id) ? maxDeliveries : 1;
      check(runs <= limit, `task ${id} ran ${runs} times`);
      check(outcome !== "done" || runs > 0, `task ${id} has a result and never ran`);
      if (runs > 1) repeated += 1;
    }
    return repeated;
  }
}

/** Whether a task may run again. */
function mayRepeat(id: number): boolean {
  return id % 2 === 0;
}
