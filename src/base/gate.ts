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

interface Begun {
  readonly at: number;
}

/**
 * Counts the handlers in progress, and promises room for another. Each handler gets an
 * {@linkcode Admission}, which it leaves in a `finally`.
 */
export class Gate {
  readonly #limit: number;
  #inProgress = 0;
  /** The handlers in progress, by when they began. */
  readonly #begun: Set<Begun> = new Set();
  #inLobby = 0;
  readonly #waiting: ((admission: Admission) => void)[] = [];
  #wake: (() => void) | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    // Handlers that wait for admission come before new ones.
    return this.#inProgress >= this.#limit || this.#waiting.length > 0;
  }

  get inProgress(): number {
    return this.#inProgress;
  }

  /** When the oldest handler in progress began, in milliseconds since the epoch; null: there is none. */
  get oldest(): number | null {
    const [first] = this.#begun;
    return first?.at ?? null;
  }

  get isEmpty(): boolean {
    return this.#inProgress === 0 && this.#inLobby === 0;
  }

  /** Admits a handler, also where there is no room left: {@linkcode isFull} says so. */
  enter(): Admission {
    this.#inProgress += 1;
    const begun = { at: wallClock() };
    this.#begun.add(begun);
    return this.#admit(() => {
      this.#inProgress -= 1;
      this.#begun.delete(begun);
    });
  }

  /** Keeps the gate from being empty, and takes no room. */
  enterLobby(): Admission {
    this.#inLobby += 1;
    return this.#admit(() => this.#inLobby -= 1);
  }

  /** Admits a handler as soon as there is room; first come, first served. */
  async admission(): Promise<Admission> {
    if (!this.isFull) return this.enter();
    return await new Promise<Admission>((resolve) => this.#waiting.push(resolve));
  }

  #admit(free: () => void): Admission {
    let isInside = true;
    return {
      leave: () => {
        if (!isInside) return;
        isInside = false;
        free();
        while (this.#waiting.length > 0 && this.#inProgress < this.#limit) {
          this.#waiting.shift()!(this.enter());
        }
        this.wake();
      },
    };
  }

  /** Ends {@linkcode change}. */
  wake(): void {
    this.#wake?.();
    this.#wake = null;
  }

  /**
   * Resolves when a handler has ended. Until then the process stays alive: it waits for no request
   * meanwhile, which would keep it alive otherwise, and handlers may wait for something that does not.
   */
  async change(): Promise<void> {
    const release = keepAlive();
    await new Promise<void>((resolve) => this.#wake = resolve);
    release();
  }
}
