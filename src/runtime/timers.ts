/**
 * Timers, turns and the clock as they were when the package was imported. Tests replace the ones of the
 * global object and move them by hand, so calls of other processes would hang and time-outs would never
 * fire. No other module of the package uses the global ones.
 *
 * @module
 */
import { isClockFake, realLater, realNow } from "./bun_timers.ts";

/** A number in older versions of Deno. */
type Timer = number | { ref(): void; unref(): void };

// The parts in use, declared here so that the file type-checks under every compiler.
interface Global {
  setTimeout(callback: () => void, milliseconds: number): Timer;
  clearTimeout(timer: Timer): void;
  setInterval(callback: () => void, milliseconds: number): Timer;
  clearInterval(timer: Timer): void;
  setImmediate(callback: () => void): unknown;
  queueMicrotask(callback: () => void): void;
  readonly performance: { now(): number };
  readonly Deno?: { refTimer(timer: number): void; unrefTimer(timer: number): void };
}

const global: Global = globalThis as unknown as Global;
const { setTimeout, clearTimeout, setInterval, clearInterval } = global;
const { performance, Deno } = global;
const isBun = "Bun" in globalThis;

const captured: () => number = performance.now.bind(performance);

/** Milliseconds since the process began, as `performance.now()` returns them. */
export const now: () => number = isBun
  ? () => isClockFake() ? realNow() ?? captured() : captured()
  : captured;

/** Milliseconds since the epoch. Only for people: the clock may be set. */
export const wallClock: () => number = Date.now;

/** Runs `callback` in the next turn of the event loop. */
export const setImmediate: (callback: () => void) => unknown = global.setImmediate;
/** Runs `callback` when the running code has ended. */
export const queueMicrotask: (callback: () => void) => void = global.queueMicrotask;

/** The longest delay of a timer, in milliseconds. */
export const timerMax: number = 2 ** 31 - 1;

/** Runs `callback` after a delay. The process stays alive. The returned function cancels the timer. */
export function laterForSure(milliseconds: number, callback: () => void): () => void {
  if (isBun && isClockFake()) return realLater(milliseconds, callback);
  const timer = setTimeout(callback, milliseconds);
  return () => clearTimeout(timer);
}

/** As {@linkcode laterForSure}, but the timer does not keep the process alive. */
export function later(milliseconds: number, callback: () => void): () => void {
  if (isBun && isClockFake()) return realLater(milliseconds, callback);
  const timer = setTimeout(callback, milliseconds);
  if (typeof timer === "number") Deno!.unrefTimer(timer);
  else timer.unref();
  return () => clearTimeout(timer);
}

/** Keeps the process alive until the caller calls the returned function. */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, timerMax);
  return () => clearInterval(timer);
}

/** As {@linkcode keepAlive}, for what begins and ends often: a timer costs more than its reference. */
export class ProcessHold {
  #timer: ReturnType<typeof setInterval> | null = null;

  /** The process stays alive. */
  hold(): void {
    const timer = this.#timer;
    if (timer === null) this.#timer = setInterval(() => {}, timerMax);
    else if (typeof timer === "number") Deno!.refTimer(timer);
    else timer.ref();
  }

  /** The process may end. A timer is left until {@linkcode end}. */
  release(): void {
    unrefTimer(this.#timer);
  }

  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** Lets the process end although a timer that other code has started is pending. */
export function unrefTimer(timer: unknown): void {
  if (typeof timer === "number") Deno?.unrefTimer(timer);
  else (timer as { unref?(): void } | null | undefined)?.unref?.();
}
