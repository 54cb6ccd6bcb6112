/**
 * The calls of a worker: what its supervisor and its guard learn of each, and when the worker rests.
 *
 * @module
 */
import { RequestCore } from "../../channel/request_core.ts";
import type { CallWatch } from "../../rpc/call_watch.ts";
import { later, now } from "../../runtime/timers.ts";
import type { Delivery } from "../../transport/transport.ts";
import { type Assignment, type Report, reservedNames, stirAfter } from "../link/control.ts";

/** A call in progress. */
interface Running {
  readonly delivery: Delivery;
  /** From {@linkcode RequestCore.beginWork}. */
  readonly entry: number;
  readonly beganAt: number;
  /** It is a call of the package itself. */
  readonly isReserved: boolean;
}

/** What the calls need of their worker. */
export interface CallsHome {
  /** Takes no calls until the returned function runs. */
  pause(): () => void;
  post(report: Report): void;
  /** How many workers serve the channel. */
  workers(): number;
  /** A session holds the worker. */
  isHeld(): boolean;
  ended(delivery: Delivery): void;
}

/** Shorter rests are not worth it, in milliseconds. */
const restMin = 1;

export class WorkerCalls implements CallWatch {
  /** The names of the methods, in the order of their numbers in the worker's record. */
  readonly methods: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #home: CallsHome;
  readonly #terms: Pick<Assignment, "maxCalls" | "afterError">;
  /** By token. A token that is free again is undefined. */
  readonly #running: (Running | undefined)[] = [];
  readonly #freeTokens: number[] = [];
  /** Without those of the package itself. */
  #inProgress = 0;
  #begun = 0;
  #quietSince = -Infinity;
  readonly #whenNone: (() => void)[] = [];
  /** Milliseconds that a successful call takes on average. */
  #pace = 0;
  /** Ends the pause of a worker that is spent; null: it is not. */
  #goOn: (() => void) | null = null;
  #isReported = false;
  /** The supervisor has no successor. */
  #isUnlimited = false;

  constructor(methods: readonly string[], terms: Assignment, home: CallsHome) {
    this.methods = methods;
    this.#numbers = new Map(methods.map((name, index) => [name, index]));
    this.#terms = terms;
    this.#home = home;
  }

  begin(method: string, delivery: Delivery): number {
    const beganAt = now();
    const isReserved = reservedNames.has(method);
    if (!isReserved) this.#count(beganAt);
    const entry = delivery instanceof RequestCore
      ? delivery.beginWork(this.#numbers.get(method) ?? 0)
      : -1;
    const token = this.#freeTokens.pop() ?? this.#running.length;
    this.#running[token] = { delivery, entry, beganAt, isReserved };
    return token;
  }

  end(token: number, hasFailed: boolean): void {
    const running = this.#running[token];
    if (!running) return;
    this.#running[token] = undefined;
    this.#freeTokens.push(token);
    const { delivery, entry, beganAt, isReserved } = running;
    // First: the end of the process may be near.
    this.#home.ended(delivery);
    if (delivery instanceof RequestCore) delivery.endWork(entry, hasFailed);
    if (isReserved) return;
    this.#inProgress -= 1;
    if (hasFailed) this.#failed(beganAt);
    if (this.#inProgress > 0) return;
    this.#quietSince = now();
    this.settle();
    for (const resolve of this.#whenNone.splice(0)) resolve();
  }

  /** Resolves when no call of the program is in progress. */
  async whenNone(): Promise<void> {
    while (this.#inProgress > 0) {
      await new Promise<void>((resolve) => this.#whenNone.push(resolve));
    }
  }

  /** How long a successful call takes on average, in milliseconds. */
  set pace(milliseconds: number) {
    this.#pace = milliseconds;
  }

  /** The worker is spent, but has no successor. */
  goOn(): void {
    this.#isUnlimited = true;
    this.#goOn?.();
    this.#goOn = null;
    this.#isReported = false;
  }

  /** Reports that the last call has ended. A session reports that itself. */
  settle(): void {
    const { maxCalls } = this.#terms;
    const isOver = maxCalls !== null && this.#begun >= maxCalls && !this.#isUnlimited;
    if (isOver && this.#inProgress === 0 && !this.#home.isHeld()) this.#spend("calls");
  }

  #count(time: number): void {
    if (this.#inProgress === 0 && time - this.#quietSince >= stirAfter) {
      this.#home.post({ kind: "stirred" });
    }
    this.#inProgress += 1;
    this.#begun += 1;
    const { maxCalls } = this.#terms;
    if (maxCalls === null || this.#isUnlimited) return;
    if (this.#begun === Math.max(1, maxCalls - 1)) this.#home.post({ kind: "aging" });
    // Now, and not when the call has ended: others may begin before that.
    if (this.#begun === maxCalls) this.#goOn ??= this.#home.pause();
  }

  #failed(beganAt: number): void {
    if (this.#home.isHeld()) return;
    if (this.#terms.afterError === "replace") return this.#spend("error");
    // Otherwise a worker that fails fast would take more calls than those that work.
    const rest = this.#pace - (now() - beganAt);
    if (rest < restMin || this.#home.workers() <= 1) return;
    later(rest, this.#home.pause());
  }

  #spend(reason: "calls" | "error"): void {
    this.#goOn ??= this.#home.pause();
    if (this.#isReported) return;
    this.#isReported = true;
    this.#home.post({ kind: "spent", reason });
  }
}
