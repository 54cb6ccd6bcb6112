/**
 * `postMessage` to a Worker of the same process, and back.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import { Queue } from "./frames.ts";

// The part of a Worker that is used, so that the file type-checks under all runtimes.
interface EchoWorker {
  onmessage: ((event: { data: Uint8Array }) => void) | null;
  postMessage(message: Uint8Array): void;
}

type WorkerClass = new (module: URL, options: { type: "module" }) => EchoWorker;

export const contender: Contender = {
  connect() {
    const { Worker } = globalThis as unknown as { Worker: WorkerClass };
    const module = new URL("../programs/echo_worker.ts", import.meta.url);
    const worker = new Worker(module, { type: "module" });
    const waiting = new Queue<(answer: Uint8Array) => void>();
    worker.onmessage = ({ data }) => waiting.take()(data);
    return {
      call: (payload) => {
        worker.postMessage(payload);
        return new Promise((resolve) => waiting.add(resolve));
      },
    };
  },
};
