/**
 * One contender of a limit: the work of a `Limit` object.
 *
 * @module
 */
import type { LimitChange } from "./events.ts";
import type { Lock, LockOwner } from "./lock.ts";
import type {
  AcquireOptions,
  AcquireSyncOptions,
  LimitOptions,
  LimitOrder,
  LockInfo,
  Refusal,
  TryAcquireOptions,
} from "./types.ts";
import { TandemError } from "../errors.ts";

export class Contender implements LockOwner {
  readonly target: string;
  refusal: Refusal | null = null;
  max = 1;
  order: LimitOrder = "oldest";
  lock: Lock | null = null;

  constructor(target: string, _options: LimitOptions) {
    this.target = target;
    throw notYet();
  }

  acquire(_options?: AcquireOptions): Promise<Lock | null> {
    throw notYet();
  }

  acquireSync(_options?: AcquireSyncOptions): Lock | null {
    throw notYet();
  }

  tryAcquire(_options?: TryAcquireOptions): Lock | null {
    throw notYet();
  }

  run<T>(_body: (lock: Lock) => T | PromiseLike<T>, _options?: AcquireOptions): Promise<T | null> {
    throw notYet();
  }

  runSync<T>(_body: (lock: Lock) => T, _options?: AcquireSyncOptions): T | null {
    throw notYet();
  }

  holders(): LockInfo[] {
    throw notYet();
  }

  waiters(): LockInfo[] {
    throw notYet();
  }

  onChange(_listener: (change: LimitChange) => unknown): Disposable {
    throw notYet();
  }

  resize(_max: number): void {
    throw notYet();
  }

  close(): void {
    throw notYet();
  }

  isHeld(_lock: Lock): boolean {
    throw notYet();
  }

  heartbeat(_lock: Lock): boolean {
    throw notYet();
  }

  release(_lock: Lock): boolean {
    throw notYet();
  }

  watch(_lock: Lock, _controller: AbortController): void {
    throw notYet();
  }
}

function notYet(): TandemError {
  return new TandemError("UNSUPPORTED", "Cannot use a limit: the native side is not there yet");
}
