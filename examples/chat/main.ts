/**
 * Lets two people chat: starts their terminals, types what they say, and prints what they see.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Server } from "@tandem/ipc";

const file = fileURLToPath(new URL("chat.ts", import.meta.url));

/** A process of chat.ts, in the runtime of this one. */
class Terminal {
  readonly #name: string;
  readonly #child;
  readonly #lines;

  constructor(name: string) {
    this.#name = name;
    this.#child = spawn(process.execPath, [...process.execArgv, file, name], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Prints the next line that the terminal shows. */
  async show(): Promise<void> {
    const { value } = await this.#lines.next();
    console.log(`${this.#name} | ${value}`);
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    const ended = once(this.#child, "exit");
    if (signal) this.#child.kill(signal);
    else this.type("/quit");
    await ended;
  }
}

const ada = new Terminal("ada");
await ada.show();
const grace = new Terminal("grace");
await grace.show();
await ada.show();

ada.type("Hello, grace!");
await grace.show();
grace.type("Hello! I have to look for something.");
await ada.show();

grace.type("/join attic");
await grace.show();
await ada.show();
grace.type("/join lobby");
await grace.show();
await ada.show();

// Nobody says good-bye for a process that is killed. The kernel tells.
await ada.end("SIGKILL");
await grace.show();
await grace.end();

// The group's file stays for the next node. Nobody comes any more.
Server.unlink("example-chat.nodes");
