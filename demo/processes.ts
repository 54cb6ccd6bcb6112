/**
 * The processes that the demo starts.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { toolCommand } from "../scripts/tools.ts";
import { type RuntimeName, startProcess } from "../src/runtime/processes.ts";

/** A process of the demo. */
export class DemoProcess {
  /** Its name in the output. */
  readonly name: string;
  readonly runtime: RuntimeName;
  /** Resolves to `"code 1"` or `"signal SIGKILL"`, for example; `null` after code 0. */
  readonly ended: Promise<string | null>;
  readonly #process: ChildProcess;

  constructor(
    name: string,
    runtime: RuntimeName,
    module: URL,
    args: readonly string[],
    permissions: readonly string[],
  ) {
    // CI checks the types. Here the check would delay the start.
    const flags = ["--no-check", "--no-prompt", ...permissions];
    const command = toolCommand(runtime, module, args, flags);
    // The demo writes nothing to the standard input. Closing it makes the process end.
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

  /** Calls `listener` when the process prints something. */
  onOutput(listener: () => void): void {
    this.#process.stdout?.on("data", listener);
  }

  /** Ends the process with SIGKILL. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** Lets the process end by itself, and kills it after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#process.stdin?.end();
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.ended;
    clearTimeout(timer);
  }
}
