/**
 * The alternatives without shared memory: a Worker, and in Bun and Node a child process with a channel. A
 * number in each message relates answers to questions.
 *
 * @module
 */
import { fork } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { thisRuntime } from "../lib/runtimes.ts";
import { startWorker } from "../lib/workers.ts";

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

/** A Worker of this runtime. */
export function connectWorker(): Add {
  const { add, take } = correlate((question) => worker.postMessage(question));
  const worker = startWorker(new URL("worker.ts", import.meta.url), take);
  return add;
}

interface Sender {
  send(message: object): unknown;
}

interface BunGlobal {
  readonly Bun: { spawn(command: string[], options: object): Sender };
}

/** A child process with the runtime's own channel; null in Deno, which has only that of `node:child_process`. */
export function connectIpc(): Add | null {
  if (thisRuntime === "deno") return null;
  const program = fileURLToPath(new URL("ipc_child.ts", import.meta.url));
  const { add, take } = correlate((question) => child.send(question));
  const child = thisRuntime === "bun" ? spawnInBun(program, take) : forkInNode(program, take);
  return add;
}

function spawnInBun(program: string, ipc: (answer: Answer) => void): Sender {
  const { Bun } = globalThis as unknown as BunGlobal;
  const stdio = ["ignore", "ignore", "inherit"];
  return Bun.spawn([process.execPath, program], { ipc, stdio });
}

function forkInNode(program: string, take: (answer: Answer) => void): Sender {
  const child = fork(program, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  return child.on("message", take as (message: unknown) => void);
}
