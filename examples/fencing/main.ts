/**
 * Stops the process that holds a lock, gives the lock to another one, and lets the first one go on. It does
 * not know that it has lost its lock, but the database does.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Store } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "fencing-"));
process.once("exit", () => rmSync(folder, { recursive: true }));
const file = fileURLToPath(new URL("writer.ts", import.meta.url));

/** A process of writer.ts, in the runtime of this one. */
class Writer {
  readonly #child;
  readonly #lines;

  constructor(...args: readonly string[]) {
    this.#child = spawn(process.execPath, [...process.execArgv, file, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  add(text: string): void {
    this.#child.stdin.write(`${text}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.#child.pid!, signal);
  }

  /** Prints the next line of the writer. */
  async show(): Promise<void> {
    const { value } = await this.#lines.next();
    console.log(value);
  }

  async end(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin.end();
    await ended;
  }
}

const first = new Writer("first", folder);
await first.show();
first.add("ink");
await first.show();

// As a long pause of the garbage collector, a swapped machine, or Ctrl-Z would.
first.kill("SIGSTOP");
console.log("first is stopped");

// Somebody decides that first hangs, and takes its lock.
const second = new Writer("second", folder, "steal");
await second.show();
second.add("paper");
await second.show();

first.add("blot");
first.kill("SIGCONT");
console.log("first goes on");
await first.show();

await Promise.all([first.end(), second.end()]);
using store = new Store(join(folder, "notes.db"));
console.log("notes:", store.notes().join(", "));
