/**
 * What commands get from the process that runs them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import process from "node:process";

/** Where a command writes, and what it reads. */
export interface Context {
  readonly process: {
    readonly stdout: { write(text: string | Uint8Array): void };
    readonly stderr: { write(text: string): void };
    readonly env: Readonly<Record<string, string | undefined>>;
    /** Set when the command has ended. */
    exitCode?: number;
  };
  /** Writes a result. Resolves when the reader keeps up. */
  write(result: string | Uint8Array): Promise<void>;
  /** All of standard input; nothing if it is a terminal and `isOptional`. */
  readInput(isOptional?: boolean): Promise<Uint8Array>;
}

/** The context of a command that a user started. */
export function processContext(): Context {
  return {
    process: {
      stdout: process.stdout,
      stderr: process.stderr,
      env: process.env,
    },
    async write(result) {
      if (!process.stdout.write(result)) await once(process.stdout, "drain");
    },
    async readInput(isOptional = false) {
      if (isOptional && process.stdin.isTTY) return new Uint8Array();
      const parts: Uint8Array[] = [];
      for await (const part of process.stdin) parts.push(part as Uint8Array);
      return Buffer.concat(parts);
    },
  };
}
