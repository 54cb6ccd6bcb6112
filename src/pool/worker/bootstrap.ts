/**
 * Runs in a worker before the worker file: see `worker_start.ts`. Runtimes also run it in threads and children of
 * a worker, where it does nothing.
 *
 * @module
 */
import { startWorker } from "./worker_start.ts";

startWorker();
