/**
 * What workers have written down: when each task began and ended, in the order in which it happened.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { check } from "../pool/stage.ts";

/** One execution of a task. */
interface Run {
  readonly pid: string;
  hasEnded: boolean;
  isAnswered: boolean;
}

/** The executions of a task. */
export interface Runs {
  readonly begun: number;
  readonly ended: number;
  /** So many were answered, too: their workers went on to another task. A worker may be killed before it answers. */
  readonly answered: number;
  /** One began while another one went on, and that one ended. */
  readonly overlap: boolean;
}

const none: Runs = { begun: 0, ended: 0, answered: 0, overlap: false };

export class Ledger {
  readonly #runs = new Map<number, Run[]>();
  readonly #overlaps = new Set<number>();
  /** The last execution of each worker. */
  readonly #last = new Map<string, Run>();

  constructor(file: string) {
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, "utf8").split("\n")) {
      const [what, id, pid] = line.split(" ") as [string, string, string];
      if (what === "b") this.#begin(Number(id), pid);
      else if (what === "e") this.#end(Number(id), pid);
    }
  }

  #begin(id: number, pid: string): void {
    const run = { pid, hasEnded: false, isAnswered: false };
    const before = this.#last.get(pid);
    if (before) before.isAnswered = before.hasEnded;
    this.#last.set(pid, run);
    const runs = this.#runs.get(id);
    if (runs) runs.push(run);
    else this.#runs.set(id, [run]);
  }

  #end(id: number, pid: string): void {
    const runs = this.#runs.get(id) ?? [];
    const index = runs.findLastIndex((run) => run.pid === pid && !run.hasEnded);
    check(index >= 0, `task ${id} has ended and never begun`);
    runs[index]!.hasEnded = true;
    if (index < runs.length - 1) this.#overlaps.add(id);
  }

  /** How many executions of any task have ended. */
  get ended(): number {
    let sum = 0;
    for (const runs of this.#runs.values()) sum += runs.filter(({ hasEnded }) => hasEnded).length;
    return sum;
  }

  of(id: number): Runs {
    const runs = this.#runs.get(id);
    if (!runs) return none;
    const ended = runs.filter(({ hasEnded }) => hasEnded).length;
    const answered = runs.filter(({ isAnswered }) => isAnswered).length;
    return { begun: runs.length, ended, answered, overlap: this.#overlaps.has(id) };
  }
}
