/**
 * The current operations of a process, in a file that can be read from outside while the
 * process hangs: a record of fixed length for each lane of work.
 *
 * @module
 */
import { openSync, readFileSync, writeSync } from "node:fs";

const recordBytes = 64;
const encoder = new TextEncoder();

/** A lane's record as it is read back. */
export interface Entry {
  readonly lane: number;
  /** The operation in progress. */
  readonly operation: string;
  /** When it began, by `Date.now()`. */
  readonly since: number;
}

/** Written by the process. */
export class Journal {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "w");
  }

  begin(lane: number, operation: string): void {
    this.#write(lane, `${Date.now()} ${operation}`);
  }

  end(lane: number): void {
    this.#write(lane, "");
  }

  #write(lane: number, text: string): void {
    // Bytes, since for a string Deno does not look at the position.
    const record = encoder.encode(text.padEnd(recordBytes - 1) + "\n");
    writeSync(this.#fd, record, 0, recordBytes, lane * recordBytes);
  }
}

/** The operations in progress. */
export function readJournal(path: string): Entry[] {
  return readFileSync(path, "latin1").split("\n").flatMap((line, lane) => {
    const [since, operation] = line.replaceAll("\0", "").trim().split(" ");
    return since && operation ? [{ lane, operation, since: Number(since) }] : [];
  });
}
