/**
 * What a `Limit` object does, wherever the limit is.
 *
 * @module
 */
import type { LimitChange } from "./events.ts";
import type { Lock } from "./lock.ts";
import type {
  AcquireOptions,
  AcquireSyncOptions,
  LimitOrder,
  LockInfo,
  Refusal,
  TryAcquireOptions,
} from "./types.ts";

/** The work of a `Limit` object. */
export interface LimitWork {
  readonly target: string;
  readonly max: number;
  readonly order: LimitOrder;
  /** The lock that it holds. */
  readonly lock: Lock | null;
  readonly refusal: Refusal | null;
  /** Resolves when it can be acquired. */
  readonly ready: Promise<void>;
  acquire(options?: AcquireOptions): Promise<Lock | null>;
  acquireSync(options?: AcquireSyncOptions): Lock | null;
  tryAcquire(options?: TryAcquireOptions): Lock | null;
  run<T>(body: (lock: Lock) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T | null>;
  runSync<T>(body: (lock: Lock) => T, options?: AcquireSyncOptions): T | null;
  holders(): LockInfo[];
  waiters(): LockInfo[];
  onChange(listener: (change: LimitChange) => unknown): Disposable;
  resize(max: number): void;
  close(): void;
}
