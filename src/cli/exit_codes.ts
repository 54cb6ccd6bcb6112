/**
 * The exit codes of `tandem`.
 *
 * @module
 */
import { TandemError } from "@tandem/ipc";

/** What the command has done. */
export const ExitCode = {
  done: 0,
  /** The call, or another operation, has failed. */
  failed: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** The system does not execute the program, as shells say it. */
  notExecutable: 126,
  /** There is no such program, as shells say it. */
  notFound: 127,
  /** Not now: the same command may succeed later. EX_TEMPFAIL of sysexits.h. */
  refused: 75,
} as const;

/** An error that has an exit code of its own. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The exit code for an error. Wrong names and numbers are mistakes on the command line. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandFailure) return error.exitCode;
  if (error instanceof TandemError) {
    return error.code === "BUSY" ? ExitCode.refused : ExitCode.failed;
  }
  const isMistake = error instanceof TypeError || error instanceof RangeError;
  return isMistake ? ExitCode.usage : ExitCode.failed;
}
