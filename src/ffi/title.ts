/**
 * The titles of processes in lists of processes.
 *
 * @module
 */
import { native } from "./load.ts";

/** The kernel shows no more of a title. */
const titleBytesMax = 4096;

/**
 * Sets the title of this process, as far as the arguments that it was started with have room, and the name of its
 * main thread, of which 15 bytes are shown.
 */
export function setTitle(title: string): void {
  readArguments();
  const bytes = new TextEncoder().encode(title);
  native().tandem_set_title(bytes, bytes.byteLength);
}

/** Until the returned function is called, the title of this process ends with " - standby". */
export function beginStandby(): () => void {
  readArguments();
  let hasEnded = false;
  native().tandem_title_standby(1);
  return () => {
    if (!hasEnded) native().tandem_title_standby(0);
    hasEnded = true;
  };
}

/** Some runtimes take these from the memory that a title overwrites, when they are first asked for. */
function readArguments(): void {
  const { process } = globalThis as unknown as { process: Record<string, unknown> };
  for (const name of ["argv", "argv0", "execArgv", "execPath", "title"]) void process[name];
}

/** The title of a process; empty: this process may not read it, or there is no such process. */
export function titleOf(pid: number): string {
  const bytes = new Uint8Array(titleBytesMax);
  const length = native().tandem_title_of(pid, bytes, bytes.byteLength);
  return new TextDecoder().decode(bytes.subarray(0, length));
}
