/**
 * How workers have ended, and which calls they had then.
 *
 * @module
 */
import { laterForSure, now } from "../../runtime/timers.ts";
import type { RecordContent } from "../link/record.ts";
import type { WorkerExit } from "../types.ts";

/** The ends of so many workers are remembered. */
const remembered = 1_024;
/** A call knows at once that its worker is gone; the supervisor has to wait until the kernel tells it. */
const patience = 2_000;
/** After so long, a call is taken for one that its worker had not begun when it died. */
const recordPatience = 500;
/** A death is known to the supervisor at most so long before its caller asks. */
const askedWithin = 1_000;

interface Ended {
  readonly exit: WorkerExit;
  readonly calls: ReadonlySet<bigint>;
  readonly at: number;
}

export class ExitHistory {
  readonly #isRunning: (id: bigint) => boolean;
  readonly #ended: Ended[] = [];
  #waiting: (() => void)[] = [];
  #isOver = false;
  /** How many workers have ended. */
  count = 0;

  /** @param isRunning whether a worker has the call that has not ended, as far as the supervisor knows */
  constructor(isRunning: (id: bigint) => boolean) {
    this.#isRunning = isRunning;
  }

  /** A worker has ended. @param content what its record says */
  add(exit: WorkerExit, content: RecordContent): void {
    this.count += 1;
    const calls = new Set(content.running.map(({ id }) => id));
    this.#ended.push({ exit, calls, at: now() });
    if (this.#ended.length > remembered) this.#ended.shift();
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** No more will end. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  /** How the worker has ended that had the call. Never rejects; undefined: the supervisor does not find out. */
  async ofCall(id: bigint): Promise<WorkerExit | undefined> {
    const askedAt = now();
    const isIts = ({ calls }: Ended) => calls.has(id);
    // Another worker may have got the call after one that died, and may be dying.
    const found = await this.#find(isIts, recordPatience, () => this.#isRunning(id));
    if (found) return found;
    // A worker may die after it took a call and before it wrote this down. Its record has nothing else then.
    const mayBeIts = ({ calls, at }: Ended) =>
      calls.has(id) || (calls.size === 0 && at >= askedAt - askedWithin);
    return this.#find(mayBeIts, patience - recordPatience);
  }

  ofProcess(pid: number): Promise<WorkerExit | undefined> {
    return this.#find(({ exit }) => exit.pid === pid, patience);
  }

  async #find(
    isIt: (ended: Ended) => boolean,
    milliseconds: number,
    mayFollow: () => boolean = () => false,
  ): Promise<WorkerExit | undefined> {
    let isLate = false;
    const cancel = laterForSure(milliseconds, () => {
      isLate = true;
      this.#wake();
    });
    try {
      for (;;) {
        const found = this.#ended.findLast(isIt)?.exit;
        if (isLate || this.#isOver || (found && !mayFollow())) return found;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      cancel();
    }
  }
}
