/**
 * Programs that are started and talked to by lines.
 *
 * @module
 */
import { type ChildProcess, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { checkout, toolCommand, toolPath } from "../../scripts/tools.ts";
import { type RuntimeName, runtimeNames, startProcess } from "../../src/runtime/processes.ts";

/** The fuzzer, which contains the scribbler. */
export const fuzzer: string = join(checkout, "zig-out/bin/tandem-fuzz");

/** Builds the library. */
export function buildFuzzer(): void {
  const { status, stderr } = spawnSync(toolPath("zig"), ["build", "fuzz"], {
    cwd: checkout,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`Cannot build the fuzzer:\n${stderr}`);
}

export type Runtime = RuntimeName;

export const runtimes: readonly Runtime[] = runtimeNames;

/** The command that starts a program of this repository in a runtime. */
export function programCommand(runtime: Runtime, path: string): readonly [string, ...string[]] {
  const { program, args } = toolCommand(runtime, join(checkout, path));
  return [program, ...args];
}

/** A child that answers each line with a line. */
export class Talker {
  readonly title: string;
  readonly process: ChildProcess;
  /** Resolves when it has ended and all it wrote has been read. */
  readonly closed: Promise<void>;
  #end: string | null = null;
  #signal: string | null = null;
  #stderr = "";
  readonly #lines: string[] = [];
  #wake: () => void = () => {};

  constructor(
    title: string,
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.title = title;
    const [program, ...args] = command;
    this.process = startProcess({ program: program!, args }, {
      cwd: checkout,
      env: { NO_COLOR: "1", ...env },
    });
    const { stdin, stdout, stderr } = this.process;
    stdin!.on("error", () => {});
    stderr!.setEncoding("utf8").on("data", (text: string) => this.#stderr += text);
    createInterface({ input: stdout! }).on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    this.closed = new Promise((resolve) => this.process.once("close", () => resolve()));
    this.process.once("close", (code, signal) => {
      this.#signal = signal;
      this.#end = `ended by ${signal ?? `code ${code}`}: ${this.#stderr.slice(-2000)}`;
      this.#wake();
    });
  }

  /** How it ended; null while it runs. */
  get end(): string | null {
    return this.#end;
  }

  /** The signal that it ended by. */
  get signal(): string | null {
    return this.#signal;
  }

  send(line: string): void {
    this.process.stdin!.write(`${line}\n`);
  }

  /** The next line. Calls `watch` twice a second, which throws to end the wait. */
  async line(watch: () => void): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#end !== null) throw new Error(`${this.title} ${this.#end}`);
      watch();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  kill(): void {
    if (this.#end === null) this.process.kill("SIGKILL");
  }
}
