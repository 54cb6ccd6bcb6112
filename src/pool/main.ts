/**
 * Pools of worker processes that heal themselves.
 *
 * @module
 */
export { Pool } from "./pool.ts";
export type { DrainOptions, PoolCloseOptions, PoolResize } from "./pool.ts";
export type { PoolCallOptions, PoolOptions, RuntimeFlags, SessionOptions } from "./options.ts";
export type { ZmqCloseOptions, ZmqDoor } from "../zmq/door.ts";
export type { ZmqDoorStats } from "../zmq/counters.ts";
export type { ZmqCurve, ZmqDoorOptions, ZmqFrontend } from "../zmq/options.ts";
export type { RuntimeName } from "../runtime/names.ts";
export { AttachedPool } from "./clients/attached.ts";
export type { AttachOptions } from "./clients/attached.ts";
export { work, workerInfo } from "./worker/work.ts";
export type { WorkerIdentity, WorkOptions } from "./worker/work.ts";
export { log } from "./worker/log.ts";
export type { Log, LogProperties } from "./worker/log.ts";
export { Session } from "./session/session.ts";
export type {
  ExitReason,
  LogLevel,
  LogRecord,
  LogTimer,
  PoolStats,
  SessionWorker,
  WorkerEvent,
  WorkerExit,
  WorkerInfo,
  WorkerState,
} from "./types.ts";
