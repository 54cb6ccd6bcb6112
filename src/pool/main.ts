/**
 * Pools of worker processes that heal themselves.
 *
 * @module
 */
export { Pool } from "./pool.ts";
export type { DrainOptions, PoolCloseOptions, PoolResize } from "./pool.ts";
export type { PoolStats } from "./pool_core.ts";
export type { PoolOptions, RuntimeFlags, SessionOptions } from "./options.ts";
export { Session } from "./session.ts";
export type { SessionWorker } from "./session.ts";
export type {
  ExitReason,
  LogLevel,
  LogRecord,
  LogTimer,
  WorkerEvent,
  WorkerExit,
  WorkerInfo,
  WorkerState,
} from "./types.ts";
