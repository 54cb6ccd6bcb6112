/**
 * What the processes of the proof of nodes share.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { args, greet, onLine, tell } from "../../fixtures/lib.ts";

/** What every process is told when it starts. */
export interface Place {
  readonly group: string;
  /** A folder for what is no channel. */
  readonly notes: string;
}

/** Reads the plan of this process. From now on, whatever goes wrong ends it. */
export function begin<T>(): T & Place {
  process.on("unhandledRejection", (error) => fault("unhandled rejection", error));
  process.on("uncaughtException", (error) => fault("uncaught exception", error));
  greet();
  return JSON.parse(args[0]!) as T & Place;
}

/** Something has happened that must not. */
export function fault(what: string, error?: unknown): never {
  console.error(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
  process.exit(70);
}

/** Obeys commands, one after another, until the input ends; then the process does. */
export function obey<T>(answer: (command: T) => unknown): void {
  let turn = Promise.resolve();
  onLine((line) => {
    turn = turn.then(async () => tell(await answer(JSON.parse(line) as T) ?? null));
  }, () => void turn.then(() => process.exit(0)));
}

/** Whether a process has ended, or is about to: the kernel takes it apart bit by bit. */
export function isEnding(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, , , , , , flags] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const exiting = 4;
    return state === "Z" || state === "X" || (Number(flags) & exiting) !== 0;
  } catch {
    return true;
  }
}

/** A node is about to close: its end is no surprise from now on. */
export function noteClosing({ notes }: Place, port: string): void {
  writeFileSync(join(notes, closingName(port)), "");
}

export function isClosing({ notes }: Place, port: string): boolean {
  return existsSync(join(notes, closingName(port)));
}

function closingName(port: string): string {
  return `closing-${port.replaceAll("/", "_")}`;
}
