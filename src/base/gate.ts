/**
 * A bound on the handlers that are in progress at once.
 *
 * @module
 */
import { keepAlive, wallClock } from "../runtime/timers.ts";

/** The right of one handler to be in progress. */
export interface Admission {
  /** Gives it back. Twice is fine. */
  leave(): void;
}

/** A handler in progress, or one in the lobby. Those in progress are in a list, in the order of their entry. */
class Visit implements Admission {
  readonly beganAt: number;
  readonly #gate: Gate;
  readonly #isInLobby: boolean;
  #isInside = true;
  before: Visit | null = null;
  after: Visit | null = null;

  constructor(gate: Gate, isInLobby: boolean) {
    this.#gate = gate;
    this.#isInLobby = isInLobby;
    this.beganAt = isInLobby ? 0 : wallClock();
  }

  leave(): void {
    if (!this.#isInside) return;
    this.#isInside = false;
    this.#gate.left(this, this.#isInLobby);
  }
}

/**
 * Counts the handlers in progress, and promises room for another. Each handler gets an
 * {@linkcode Admission}, which it leaves in a `finally`.
 */
export class Gate {
  #limit: number;
  #inProgress = 0;
  #first: Visit | null = null;
  #last: Visit | null = null;
  #inLobby = 0;
  readonly #waiting: ((admission: Admission) => void)[] = [];
  readonly #watchers: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    // Handlers that wait for admission come before new ones.
    return this.#inProgress >= this.#limit || this.#waiting.length > 0;
  }

  /** How many handlers may be in progress at once. */
  get limit(): number {
    return this.#limit;
  }

  set limit(limit: number) {
    this.#limit = limit;
    this.#admitWaiting();
    this.wake();
  }

  get inProgress(): number {
    return this.#inProgress;
  }

  /** When the oldest handler in progress began, in milliseconds since the epoch; null: there is none. */
  get oldest(): number | null {
    return this.#first?.beganAt ?? null;
  }

  get isEmpty(): boolean {
    return this.#inProgress === 0 && this.#inLobby === 0;
  }

  /** Admits a handler, also where there is no room left: {@linkcode isFull} says so. */
  enter(): Admission {
    this.#inProgress += 1;
    const visit = new Visit(this, false);
    const last = this.#last;
    visit.before = last;
    if (last) last.after = visit;
    else this.#first = visit;
    return this.#last = visit;
  }

  /** Keeps the gate from being empty, and takes no room. */
  enterLobby(): Admission {
    this.#inLobby += 1;
    return new Visit(this, true);
  }

  /** Admits a handler as soon as there is room; first come, first served. */
  async admission(): Promise<Admission> {
    if (!this.isFull) return this.enter();
    return await new Promise<Admission>((resolve) => this.#waiting.push(resolve));
  }

  /** A visit has ended. */
  left(visit: Visit, wasInLobby: boolean): void {
    if (wasInLobby) this.#inLobby -= 1;
    else this.#remove(visit);
    this.#admitWaiting();
    this.wake();
  }

  #admitWaiting(): void {
    while (this.#waiting.length > 0 && this.#inProgress < this.#limit) {
      this.#waiting.shift()!(this.enter());
    }
  }

  #remove({ before, after }: Visit): void {
    this.#inProgress -= 1;
    if (before) before.after = after;
    else this.#first = after;
    if (after) after.before = before;
    else this.#last = before;
  }

  /** Ends {@linkcode change}. */
  wake(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  /**
   * Resolves when a handler has ended. Until then the process stays alive: it waits for no request
   * meanwhile, which would keep it alive otherwise, and handlers may wait for something that does not.
   */
  async change(): Promise<void> {
    const release = keepAlive();
    await new Promise<void>((resolve) => this.#watchers.push(resolve));
    release();
  }
}
