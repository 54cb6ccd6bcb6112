/**
 * Pools of worker processes that heal themselves.
 *
 * @module
 */
export { Pool } from "./pool.ts";
export type { DrainOptions, PoolCloseOptions, PoolResize } from "./pool.ts";
export type { PoolOptions, RuntimeFlags, SessionOptions } from "./options.ts";
export { AttachedPool } from "./attached.ts";
export type { AttachOptions } from "./attached.ts";
export { Session } from "./session.ts";
export type { SessionWorker } from "./session.ts";
export type {
  ExitReason,
  LogLevel,
  LogRecord,
  LogTimer,
  PoolStats,
  WorkerEvent,
  WorkerExit,
  WorkerInfo,
  WorkerState,
} from "./types.ts";
