/**
 * Threads of a process: the Workers of the web, and in Node, which has none, those of `node:worker_threads`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** A thread as the one sees it that has started it. */
export interface Thread {
  post(message: unknown): void;
  /** Ends it in the middle of its work. */
  terminate(): void;
}

/** What a thread does to the one that has started it. */
export interface ThreadEvents {
  onMessage(message: unknown): void;
  /** The thread ends by this error. */
  onError(message: string): void;
}

/** A thread as its own program sees it. */
export interface ThreadScope {
  /** The thread stays alive from now on. */
  listen(onMessage: (message: unknown) => void): void;
  post(message: unknown): void;
  /** Ends this thread. */
  close(): void;
}

interface NodePort {
  on(event: "message", listener: (message: unknown) => void): void;
  postMessage(message: unknown): void;
}

interface NodeWorker extends NodePort {
  on(event: "message", listener: (message: unknown) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  terminate(): Promise<number>;
}

interface NodeThreads {
  readonly Worker: new (path: string) => NodeWorker;
  readonly parentPort: NodePort | null;
}

interface WebScope {
  onmessage: (event: MessageEvent) => void;
  postMessage(message: unknown): void;
  close(): void;
}

interface Global {
  readonly Worker?: typeof Worker;
  readonly process: {
    exit(): never;
    getBuiltinModule(name: "node:worker_threads"): NodeThreads;
  };
}

const global = globalThis as unknown as Global;

/** Starts a module as a thread. */
export function startThread(module: URL, events: ThreadEvents): Thread {
  return global.Worker ? startWeb(module, events) : startNode(module, events);
}

function startWeb(module: URL, { onMessage, onError }: ThreadEvents): Thread {
  const worker = new Worker(module, { type: "module" });
  worker.onmessage = ({ data }) => onMessage(data);
  worker.onerror = (event) => {
    // It would end the process.
    event.preventDefault();
    onError(event.message);
  };
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  };
}

function startNode(module: URL, { onMessage, onError }: ThreadEvents): Thread {
  const { Worker } = global.process.getBuiltinModule("node:worker_threads");
  const worker = new Worker(fileURLToPath(module));
  worker.on("message", onMessage);
  worker.on("error", (error) => onError(error.message));
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => void worker.terminate(),
  };
}

/** The thread that runs this. */
export function threadScope(): ThreadScope {
  if ("Worker" in globalThis || "WorkerGlobalScope" in globalThis) {
    const scope = globalThis as unknown as WebScope;
    return {
      listen: (onMessage) => void (scope.onmessage = ({ data }) => onMessage(data)),
      post: (message) => scope.postMessage(message),
      close: () => scope.close(),
    };
  }
  const { parentPort } = global.process.getBuiltinModule("node:worker_threads");
  if (!parentPort) {
    throw new Error("this program runs as a thread, and not by itself");
  }
  return {
    listen: (onMessage) => parentPort.on("message", onMessage),
    post: (message) => parentPort.postMessage(message),
    // In a thread it ends the thread alone.
    close: () => global.process.exit(),
  };
}
