/**
 * Starts the other processes of a benchmark and exchanges messages with them, each a line of JSON. The
 * other side is child.ts.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { type Command, startProcess } from "../../src/runtime/processes.ts";
import { hostCommand, type Runtime } from "./runtimes.ts";

const running = new Set<Child>();
process.on("exit", () => running.forEach((child) => child.kill()));

/** A process of a benchmark. Its standard error goes to that of this process. */
export class Child implements AsyncDisposable {
  /** Resolves when the process has exited. */
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #name: string;

  /** Starts a program. */
  constructor(name: string, command: Command) {
    const child = startProcess(command, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process = child;
    this.#name = name;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    this.ended = new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", () => resolve());
    }).finally(() => running.delete(this));
    running.add(this);
    // The error also ends the lines.
    this.ended.catch(() => {});
    // The process may have been killed.
    child.stdin!.on("error", () => {});
  }

  /** Starts a module. */
  static of(runtime: Runtime, module: URL, args: readonly string[] = []): Child {
    const name = [runtime, ...module.pathname.split("/").slice(-2), ...args].join(" ");
    return new Child(name, hostCommand(runtime, module, args));
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`${this.#name} did not start`);
    return this.#process.pid;
  }

  /** The next message of the process. */
  async receive<Message>(): Promise<Message> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#name} ended early`);
    return JSON.parse(value) as Message;
  }

  /** Sends a message to the process. */
  send(message: unknown): void {
    this.#process.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends the process with SIGKILL: it has no state to save, and a blocked thread reads no message. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.ended;
  }
}
