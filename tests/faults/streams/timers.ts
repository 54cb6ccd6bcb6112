/**
 * Timers and microtasks of simulated processes. It stands for src/runtime/timers.ts.
 *
 * @module
 */
import { running } from "./world.ts";

export function queueMicrotask(callback: () => void): void {
  running().microtasks.push(callback);
}

export function later(milliseconds: number, callback: () => void): () => void {
  const { timers } = running();
  const timer = { milliseconds, callback };
  timers.add(timer);
  return () => void timers.delete(timer);
}

export const laterForSure: typeof later = later;
export const setImmediate = (callback: () => void): void => void later(0, callback);
export const now = (): number => 0;
export const wallClock: () => number = now;
export const keepAlive = () => (): void => {};
export const unrefTimer = (): void => {};
export const timerMax: number = 2 ** 31 - 1;
