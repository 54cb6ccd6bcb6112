/**
 * The alternatives without shared memory: a Worker, and in Bun a child process with Bun's own channel. A
 * number in each message relates answers to questions.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** Adds two numbers elsewhere. */
type Add = (a: number, b: number) => Promise<number>;

/** A call as programs write it by hand: its number, method and arguments. */
export interface Question {
  readonly id: number;
  readonly method: string;
  readonly args: readonly [a: number, b: number];
}

/** The answer to a call. */
export interface Answer {
  readonly id: number;
  readonly result: number;
}

/** Resolves each call with its own answer. */
function correlate(post: (question: Question) => void): {
  add: Add;
  take(answer: Answer): void;
} {
  const waiting: Map<number, (sum: number) => void> = new Map();
  let next = 0;
  return {
    add: (a, b) =>
      new Promise((resolve) => {
        const id = next++;
        waiting.set(id, resolve);
        post({ id, method: "add", args: [a, b] });
      }),
    take: ({ id, result }) => {
      waiting.get(id)?.(result);
      waiting.delete(id);
    },
  };
}

interface WorkerLike {
  postMessage(message: unknown): void;
  onmessage: ((event: { data: Answer }) => void) | null;
}

/** A Worker of this runtime. */
export function connectWorker(): Add {
  const { Worker } = globalThis as unknown as {
    Worker: new (url: URL, options: object) => WorkerLike;
  };
  const worker = new Worker(new URL("worker.ts", import.meta.url), { type: "module" });
  const { add, take } = correlate((question) => worker.postMessage(question));
  worker.onmessage = ({ data }) => take(data);
  return add;
}

interface BunGlobal {
  readonly Bun?: {
    spawn(command: string[], options: object): { send(message: unknown): void };
  };
}

/** A child process with Bun's own channel; null in Deno. */
export function connectIpc(): Add | null {
  const { Bun } = globalThis as unknown as BunGlobal;
  if (!Bun) return null;
  const program = fileURLToPath(new URL("ipc_child.ts", import.meta.url));
  const { add, take } = correlate((question) => child.send(question));
  const child = Bun.spawn([globalThis.process.execPath, program], {
    ipc: (answer: Answer) => take(answer),
    stdio: ["ignore", "ignore", "inherit"],
  });
  return add;
}
