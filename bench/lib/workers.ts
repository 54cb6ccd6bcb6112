/**
 * Worker threads: `Worker` in Deno and Bun, `node:worker_threads` in Node, which has no global `Worker`.
 *
 * @module
 */
import { parentPort, Worker as NodeWorker } from "node:worker_threads";
import { thisRuntime } from "./runtimes.ts";

/** The other side of a worker, or of the thread that started it. */
export interface Port {
  postMessage(message: unknown): void;
}

interface WebPort extends Port {
  onmessage: ((event: { data: never }) => void) | null;
}

type WebWorker = new (module: URL, options: { type: "module" }) => WebPort;

/** Starts a module in a thread of its own. */
export function startWorker<Message>(module: URL, receive: (message: Message) => void): Port {
  if (thisRuntime === "node") return new NodeWorker(module).on("message", receive);
  const { Worker } = globalThis as unknown as { Worker: WebWorker };
  const worker = new Worker(module, { type: "module" });
  worker.onmessage = ({ data }) => receive(data);
  return worker;
}

/** Used by the module of a worker. */
export function listenInWorker<Message>(receive: (message: Message, port: Port) => void): void {
  if (thisRuntime === "node") {
    const port = parentPort!;
    port.on("message", (message: Message) => receive(message, port));
    return;
  }
  const scope = globalThis as unknown as WebPort;
  scope.onmessage = ({ data }) => receive(data, scope);
}
