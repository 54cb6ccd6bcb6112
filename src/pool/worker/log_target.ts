/**
 * Where the log records of this process go.
 *
 * @module
 */
import type { WorkerLog } from "./worker_log.ts";

/** `worker` is null in a process that is no worker, or has not called work() yet. */
export const logTarget: { worker: WorkerLog | null } = { worker: null };
