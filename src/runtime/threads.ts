/**
 * Threads of this process that run a module of the package.
 *
 * @module
 */
import type { Worker as NodeWorker } from "node:worker_threads";

/** The Worker of the web, which Deno has. Its own `node:worker_threads` runs no modules from the network. */
interface WebWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message: string; preventDefault(): void }) => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}

// The parts in use, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    getBuiltinModule(name: "node:worker_threads"): typeof import("node:worker_threads");
  };
  readonly Worker: new (module: URL, options: { type: "module"; name: string }) => WebWorker;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

const global = globalThis as unknown as Global;
const isDeno = "Deno" in globalThis;
const node = (): typeof import("node:worker_threads") =>
  global.process.getBuiltinModule("node:worker_threads");

/** A thread that this one has started. */
export interface Thread {
  /** Ends it; a native function that blocks it has to return first. */
  terminate(): void;
}

/** What becomes of a thread, for the one that has started it. */
export interface ThreadEvents<Report> {
  onReport(report: Report): void;
  /** It could not start, or has thrown. */
  onFailure(error: Error): void;
}

/** Starts a thread, which gets the assignment. It keeps the process alive until it ends. */
export function startThread<Assignment, Report>(
  module: URL,
  name: string,
  assignment: Assignment,
  events: ThreadEvents<Report>,
): Thread {
  return isDeno
    ? startInDeno(module, name, assignment, events)
    : startInNode(module, name, assignment, events);
}

function startInDeno<Report>(
  module: URL,
  name: string,
  assignment: unknown,
  events: ThreadEvents<Report>,
): Thread {
  const worker = new global.Worker(module, { type: "module", name });
  worker.onmessage = ({ data }) => events.onReport(data as Report);
  worker.onerror = (event) => {
    event.preventDefault();
    events.onFailure(new Error(event.message));
  };
  worker.postMessage(assignment);
  return { terminate: () => worker.terminate() };
}

function startInNode<Report>(
  module: URL,
  name: string,
  assignment: unknown,
  events: ThreadEvents<Report>,
): Thread {
  const worker: NodeWorker = new (node().Worker)(module, { name });
  worker.on("message", (report: Report) => events.onReport(report));
  worker.on("error", (error: Error) => events.onFailure(error));
  worker.postMessage(assignment);
  return { terminate: () => void worker.terminate() };
}

/** For the module of a thread: runs `work` with its assignment, and then ends the thread. */
export function runThread<Assignment, Report>(
  work: (assignment: Assignment, post: (report: Report) => void) => void,
): void {
  if (isDeno) {
    global.onmessage = ({ data }) => {
      global.onmessage = null;
      work(data as Assignment, (report) => global.postMessage(report));
      global.close();
    };
    return;
  }
  const port = node().parentPort!;
  port.once("message", (assignment: Assignment) => {
    work(assignment, (report) => port.postMessage(report));
    port.close();
  });
}
