/**
 * Workers in every runtime. Node has no global `Worker`, only that of `node:worker_threads`.
 *
 * @module
 */
import process from "node:process";

/** A thread of this process that runs another module. */
export interface WorkerThread {
  post(message: unknown): void;
  terminate(): void;
}

/** What the thread that starts a Worker is told. */
export interface WorkerEvents<Message> {
  onMessage(message: Message): void;
  /** The Worker has failed. The process goes on. */
  onError?(error: unknown): void;
}

/** The Worker's own side. */
export interface WorkerSide<Message> {
  onMessage(body: (message: Message) => void): void;
  post(message: unknown): void;
  /** Ends the Worker. */
  close(): void;
}

interface NodePort {
  on(event: "message", body: (message: unknown) => void): void;
  postMessage(message: unknown): void;
  close(): void;
}

interface NodeWorker extends NodePort {
  on(event: "message" | "error", body: (value: unknown) => void): void;
  terminate(): Promise<number>;
}

interface WorkerThreads {
  readonly Worker: new (url: URL) => NodeWorker;
  readonly parentPort: NodePort | null;
}

interface WebScope {
  onmessage: (event: MessageEvent) => void;
  postMessage(message: unknown): void;
  close(): void;
}

/** Null: the runtime has Workers of the web. */
function nodeThreads(): WorkerThreads | null {
  if ("Bun" in globalThis || "Deno" in globalThis) return null;
  return process.getBuiltinModule("node:worker_threads") as unknown as WorkerThreads;
}

/** Starts a Worker. */
export function startWorker<Message>(url: URL, events: WorkerEvents<Message>): WorkerThread {
  const threads = nodeThreads();
  if (threads) {
    const worker = new threads.Worker(url);
    worker.on("message", (message) => events.onMessage(message as Message));
    worker.on("error", (error) => events.onError?.(error));
    return {
      post: (message) => worker.postMessage(message),
      terminate: () => void worker.terminate(),
    };
  }
  const worker = new Worker(url, { type: "module" });
  worker.onmessage = ({ data }: MessageEvent) => events.onMessage(data);
  worker.onerror = (event) => {
    // Otherwise its error would end the process.
    event.preventDefault();
    events.onError?.(event);
  };
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  };
}

/** The side of the Worker that this module runs in. */
export function workerSide<Message>(): WorkerSide<Message> {
  const port = nodeThreads()?.parentPort;
  if (port) {
    return {
      onMessage: (body) => port.on("message", (message) => body(message as Message)),
      post: (message) => port.postMessage(message),
      // A Worker of Node ends by itself when nothing keeps it; closing ends one of the web at once.
      close: () => process.exit(),
    };
  }
  const scope = globalThis as unknown as WebScope;
  return {
    onMessage: (body) => {
      scope.onmessage = ({ data }: MessageEvent) => body(data);
    },
    post: (message) => scope.postMessage(message),
    close: () => scope.close(),
  };
}
