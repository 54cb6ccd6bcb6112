/**
 * `postMessage` to a worker thread of the same process, and back.
 *
 * @module
 */
import { startWorker } from "../lib/workers.ts";
import type { Contender } from "./contender.ts";
import { Queue } from "./frames.ts";

export const contender: Contender = {
  connect() {
    const waiting = new Queue<(answer: Uint8Array) => void>();
    const worker = startWorker(
      new URL("../programs/echo_worker.ts", import.meta.url),
      (answer: Uint8Array) => waiting.take()(answer),
    );
    return {
      call: (payload) => {
        worker.postMessage(payload);
        return new Promise((resolve) => waiting.add(resolve));
      },
    };
  },
};
