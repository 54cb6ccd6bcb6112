/**
 * Pools of worker processes that heal themselves.
 *
 * @module
 */
export { Pool } from "./pool.ts";
export type { DrainOptions, PoolCloseOptions, PoolResize } from "./pool.ts";
export type { PoolCallOptions, PoolOptions, RuntimeFlags, SessionOptions } from "./options.ts";
export type { RuntimeName } from "../runtime/processes.ts";
export { AttachedPool } from "./attached.ts";
export type { AttachOptions } from "./attached.ts";
export { work, workerInfo } from "./work.ts";
export type { WorkerIdentity, WorkOptions } from "./work.ts";
export { log } from "./log.ts";
export type { Log, LogProperties } from "./log.ts";
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
