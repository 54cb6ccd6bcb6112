/**
 * Limits on how many processes do something at once, with waiters that never poll.
 *
 * @module
 */
export type { NatsOptions } from "../base/nats_options.ts";
export { Limit } from "./limit.ts";
export { Lock } from "./lock.ts";
export type { ExecOptions } from "./exec.ts";
export { type Locks, locks } from "./lock_manager.ts";
export type {
  NamedLock,
  NamedLockInfo,
  NamedLockOptions,
  NamedLockSnapshot,
} from "./lock_types.ts";
export type { LimitChange, LimitChangeKind } from "./events.ts";
export type {
  AcquireOptions,
  AcquireSyncOptions,
  LimitOptions,
  LimitOrder,
  LockInfo,
  LockMode,
  Refusal,
  StandbyLimit,
  TryAcquireOptions,
} from "./types.ts";
