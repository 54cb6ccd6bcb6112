/**
 * The time between the grant of a lock and the end of the callback that holds it.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { Alarm } from "../base/alarm.ts";
import { codeOf, report, textOf } from "../base/guard.ts";
import { describe } from "../base/checks.ts";
import { keepAlive, now, setImmediate } from "../runtime/timers.ts";
import type { Lock } from "./lock.ts";
import type { NamedLock } from "./lock_types.ts";
import type { LockMode } from "./types.ts";

/**
 * The callbacks that hold a lock. A program may hold a lock for ever by a promise that nothing refers to, which must
 * not be taken for a lock that it has forgotten.
 */
const holdings: Set<Holding> = new Set();

/** A lock that a callback holds. */
export class Holding {
  readonly #name: string;
  readonly #lock: Lock;
  readonly #end: (hasListened: boolean) => void;
  readonly #ending: PromiseWithResolvers<unknown> = Promise.withResolvers();
  #controller: AbortController | null = null;
  #stopListening: (() => void) | null = null;
  #letEnd: (() => void) | null = null;
  #hasListened = false;
  #isOver = false;
  #loss: { readonly reason: unknown } | null = null;

  /** @param end runs once, when the lock is free; it gets whether the lock had to listen for its loss */
  constructor(name: string, lock: Lock, end: (hasListened: boolean) => void) {
    this.#name = name;
    this.#lock = lock;
    this.#end = end;
  }

  /** Calls the callback. The promise settles as the callback's does, after the lock is free. */
  run(callback: (lock: NamedLock) => unknown): Promise<unknown> {
    let result: unknown;
    try {
      result = callback(new HeldLock(this, this.#name, this.#lock));
    } catch (error) {
      this.#finish(() => this.#ending.reject(error));
      return this.#ending.promise;
    }
    // Nothing else can be a promise.
    if ((typeof result !== "object" || result === null) && typeof result !== "function") {
      this.#finish(() => this.#ending.resolve(result));
      return this.#ending.promise;
    }
    holdings.add(this);
    new Promise((resolve) => resolve(result)).then(
      (value) => this.#finish(() => this.#ending.resolve(value)),
      (error) => this.#finish(() => this.#ending.reject(error)),
    );
    outlastSoon(this);
    return this.#ending.promise;
  }

  /** Aborts when the lock is lost. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      this.listen();
      if (this.#loss !== null) this.#controller.abort(this.#loss.reason);
    }
    return this.#controller.signal;
  }

  /** Waits for the loss of the lock from now on. */
  listen(): void {
    if (this.#isOver || this.#hasListened) return;
    this.#hasListened = true;
    const { signal } = this.#lock;
    if (signal.aborted) this.#lose();
    else this.#stopListening = onAbort(signal, () => this.#lose());
  }

  /** The process lives as long as the request is pending. */
  outlastTurn(): void {
    if (this.#isOver) return;
    this.#letEnd = keepAlive();
    if (!this.#hasListened) listenLater(this);
  }

  #finish(settle: () => void): void {
    if (this.#isOver) return;
    // A lock that was lost unnoticed: what the callback has done may be wrong.
    if (!this.#lock.release()) return this.#lose();
    this.#close();
    settle();
  }

  /** The callback may still run: what it returns reaches nobody. */
  #lose(): void {
    if (this.#isOver) return;
    const reason = lossOf(this.#name, this.#lock.signal.reason);
    this.#loss = { reason };
    this.#lock.release();
    this.#close();
    this.#ending.reject(reason);
    this.#controller?.abort(reason);
  }

  #close(): void {
    this.#isOver = true;
    holdings.delete(this);
    if (listeningLater.delete(this)) alarm.rest();
    this.#letEnd?.();
    this.#stopListening?.();
    this.#end(this.#hasListened);
  }
}

/** The lock as the callback sees it. */
class HeldLock implements NamedLock {
  readonly #holding: Holding;
  readonly #lock: Lock;
  readonly name: string;
  readonly mode: LockMode;
  readonly id: number;

  constructor(holding: Holding, name: string, lock: Lock) {
    this.#holding = holding;
    this.#lock = lock;
    this.name = name;
    this.mode = lock.mode;
    this.id = lock.id;
  }

  get token(): bigint {
    return this.#lock.token;
  }

  get signal(): AbortSignal {
    return this.#holding.signal;
  }
}

/** Holdings that were begun in this turn. Most end in it, and a timer costs more than they do. */
const begunNow: Set<Holding> = new Set();

function outlastSoon(holding: Holding): void {
  begunNow.add(holding);
  if (begunNow.size > 1) return;
  setImmediate(() => {
    const begun = [...begunNow];
    begunNow.clear();
    for (const holding of begun) holding.outlastTurn();
  });
}

/**
 * A holder listens for the loss of its lock after so many milliseconds. Most have ended by then, and listening costs
 * a bell in the event loop.
 */
const listenDelay = 5;
const listeningLater: Set<Holding> = new Set();
const alarm: Alarm = new Alarm(() => {
  const holdings = [...listeningLater];
  listeningLater.clear();
  for (const holding of holdings) {
    try {
      holding.listen();
    } catch (error) {
      // It hears of its loss when its callback ends.
      report(Holding, "listening for the loss of a lock", error);
    }
  }
}, () => listeningLater.size > 0);

function listenLater(holding: Holding): void {
  listeningLater.add(holding);
  alarm.set(now() + listenDelay);
}

/** What the user's promise rejects with: the specification knows only theft. */
function lossOf(name: string, reason: unknown): unknown {
  const code = codeOf(reason);
  if (code !== undefined && code !== "CANCELLED") return reason;
  const found = code === undefined ? "another request has stolen it" : textOf(reason);
  return new DOMException(`Cannot hold lock ${describe(name)} any longer: ${found}`, "AbortError");
}
