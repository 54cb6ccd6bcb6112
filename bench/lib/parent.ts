/**
 * The side of a benchmark that starts the other processes and hears from them: a JSON value a line,
 * both ways. The other side is child.ts.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { type Command, startProcess } from "../../src/runtime/processes.ts";
import { type Host, hostCommand } from "./runtimes.ts";

const running = new Set<Child>();
process.on("exit", () => running.forEach((child) => child.kill()));

/** A process that a benchmark started. What it prints on its standard error is shown. */
export class Child implements AsyncDisposable {
  /** Its exit. */
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #name: string;

  /** Starts a program that is no module. */
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
    // Whoever waits for its lines learns of it.
    this.ended.catch(() => {});
    // It may have been killed.
    child.stdin!.on("error", () => {});
  }

  /** Starts a module. */
  static of(host: Host, module: URL, args: readonly string[] = []): Child {
    const name = [host, ...module.pathname.split("/").slice(-2), ...args].join(" ");
    return new Child(name, hostCommand(host, module, args));
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`${this.#name} could not be started`);
    return this.#process.pid;
  }

  /** What it says next. */
  async receive<Message>(): Promise<Message> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#name} ended early`);
    return JSON.parse(value) as Message;
  }

  /** Says something to it. */
  send(message: unknown): void {
    this.#process.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /**
   * Ends it at once, the hard way: nothing here has state to save, and a blocked thread hears
   * nothing.
   */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.ended;
  }
}
