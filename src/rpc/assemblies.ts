/**
 * Bounds the memory for long messages that arrive in parts, over all connections and services of this
 * thread. It counts the bytes that have arrived, not the announced ones.
 *
 * At the bound, further parts are fetched only once other messages are complete. The oldest message
 * always goes on, so that messages cannot wait for each other. If its sender stays silent for a second
 * while others wait, the message loses that privilege, and is refused if it holds memory: a stopped
 * sender blocks nothing.
 *
 * @module
 */
import { laterForSure, now } from "../runtime/timers.ts";
import { TandemError } from "../errors.ts";

/** Milliseconds between two checks for silent senders, while a part waits. */
const tickMilliseconds = 250;
/** Checks without progress before a sender counts as silent. Not a time, since this process may be stopped. */
const silentTicks = 4;

const bytesMax = 2 ** 30;

interface Waiting {
  readonly assembly: Assembly;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Assemblies {
  /** The bound in bytes for all messages together. Each message may exceed it by four parts. */
  max: number;
  /** In the order in which they began. */
  readonly #all: Set<Assembly> = new Set();
  #waiting: Waiting[] = [];
  #used = 0;
  #cancelTimer: (() => void) | null = null;

  constructor(max: number) {
    this.max = max;
  }

  /** Bytes that have arrived for incomplete messages. */
  get used(): number {
    return this.#used;
  }

  /** Parts that wait for memory. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Begins to take a message. */
  begin(): Assembly {
    const assembly = new Assembly(this);
    this.#all.add(assembly);
    return assembly;
  }

  /** @ignore For assemblies. */
  ask(assembly: Assembly, deadline: number): Promise<void> | undefined {
    if (this.#mayGoOn(assembly)) return undefined;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ assembly, deadline, resolve, reject });
      this.#cancelTimer ??= laterForSure(tickMilliseconds, () => this.#tick());
    });
  }

  /** @ignore For assemblies. */
  add(bytes: number): void {
    this.#used += bytes;
  }

  /** @ignore For assemblies. */
  remove(assembly: Assembly, bytes: number, reason: unknown): void {
    this.#all.delete(assembly);
    this.#used -= bytes;
    this.#settle((waiting) => {
      if (waiting.assembly !== assembly) return false;
      waiting.reject(reason);
      return true;
    });
    this.#wake();
  }

  #mayGoOn(assembly: Assembly): boolean {
    return this.#used < this.max || assembly === this.#privileged();
  }

  /** The oldest message whose sender is not silent. */
  #privileged(): Assembly | undefined {
    for (const assembly of this.#all) if (!assembly.isSilent) return assembly;
    return undefined;
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    this.#settle((waiting) => {
      if (!this.#mayGoOn(waiting.assembly)) return false;
      waiting.resolve();
      return true;
    });
  }

  /** Removes the parts for which `settles` returns true; the timer stops with an empty queue. */
  #settle(settles: (waiting: Waiting) => boolean): void {
    this.#waiting = this.#waiting.filter((waiting) => !settles(waiting));
    if (this.#waiting.length > 0 || this.#cancelTimer === null) return;
    this.#cancelTimer();
    this.#cancelTimer = null;
    for (const assembly of this.#all) assembly.forgiveSilence();
  }

  #tick(): void {
    this.#cancelTimer = laterForSure(tickMilliseconds, () => this.#tick());
    const time = now();
    this.#settle(({ deadline, reject }) => {
      if (deadline > time) return false;
      reject(tooLate());
      return true;
    });
    for (const assembly of this.#all) assembly.listen();
    // One at a time, and only until there is memory again.
    for (const assembly of this.#all) {
      if (this.#used < this.max || this.#waiting.length === 0) break;
      if (assembly.isSilent && assembly.held > 0) assembly.end(refused(assembly.held, this.max));
    }
    this.#wake();
  }
}

/** One message that arrives in parts. */
export class Assembly {
  readonly #assemblies: Assemblies;
  readonly #stop = new AbortController();
  #held = 0;
  #askedFor = 0;
  #silence = 0;

  /** @ignore Made by {@linkcode Assemblies.begin}. */
  constructor(assemblies: Assemblies) {
    this.#assemblies = assemblies;
  }

  /** Aborts when the message is complete, refused or given up: no more parts are needed. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Bytes that have arrived. */
  get held(): number {
    return this.#held;
  }

  get isSilent(): boolean {
    return this.#silence >= silentTicks;
  }

  /**
   * Call this before asking for a part.
   *
   * @param deadline a time of `performance.now()`
   * @returns a promise to await first; undefined: there is memory now
   */
  ask(deadline: number): Promise<void> | undefined {
    this.#stop.signal.throwIfAborted();
    return this.#assemblies.ask(this, deadline);
  }

  /** A part is being asked for. */
  asked(): void {
    this.#askedFor += 1;
  }

  /** A part has arrived. */
  arrived(bytes: number): void {
    this.#askedFor -= 1;
    this.#silence = 0;
    if (this.#stop.signal.aborted) return;
    this.#held += bytes;
    this.#assemblies.add(bytes);
  }

  /** @ignore For {@linkcode Assemblies}. */
  listen(): void {
    // A message that waits for memory has asked for no part, so its sender is not silent.
    this.#silence = this.#askedFor > 0 ? this.#silence + 1 : 0;
  }

  /** @ignore For {@linkcode Assemblies}. */
  forgiveSilence(): void {
    this.#silence = 0;
  }

  /** Gives the memory back: the message is complete, or will never be, because of `reason`. */
  end(reason?: unknown): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(reason);
    this.#assemblies.remove(this, this.#held, this.#stop.signal.reason);
    this.#held = 0;
  }
}

function refused(held: number, max: number): TandemError {
  return new TandemError(
    "BUSY",
    `Cannot take a long message: its sender sent nothing for a second after ${held} bytes, and the ` +
      `${max} bytes that this process has for messages in parts are used up; call again later`,
  );
}

function tooLate(): TandemError {
  return new TandemError(
    "TIMEOUT",
    "Cannot take a long message in time: other messages use up the memory for messages in parts; " +
      "call again later, or send less at once",
  );
}

/** The assemblies of this thread. */
export const assemblies: Assemblies = new Assemblies(bytesMax);
