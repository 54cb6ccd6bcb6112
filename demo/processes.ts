/**
 * The processes that the demo starts.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { startProcess } from "../src/runtime/processes.ts";
import { hostCommand, type Runtime } from "../bench/lib/runtimes.ts";

/** One of them. */
export class DemoProcess {
  /** What it is called in the output. */
  readonly name: string;
  readonly runtime: Runtime;
  /** How it ended, as `"code 1"` or `"signal SIGKILL"`; `null`: as it should. */
  readonly ended: Promise<string | null>;
  readonly #process: ChildProcess;

  constructor(
    name: string,
    runtime: Runtime,
    module: URL,
    args: readonly string[],
    permissions: readonly string[],
  ) {
    const command = hostCommand(runtime, module, args, permissions);
    // Its input is never written to; that it closes is the sign to end.
    const child = startProcess(command, { stdio: ["pipe", "pipe", "inherit"] });
    this.name = name;
    this.runtime = runtime;
    this.#process = child;
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => {
        resolve(code === 0 ? null : signal === null ? `code ${code}` : `signal ${signal}`);
      });
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Calls `listener` whenever it prints something. */
  onOutput(listener: () => void): void {
    this.#process.stdout?.on("data", listener);
  }

  /** Ends it with SIGKILL. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Lets it end by itself, and ends it if it does not. */
  async stop(graceMs: number): Promise<void> {
    this.#process.stdin?.end();
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(timer);
  }
}
