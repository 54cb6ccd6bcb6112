/**
 * What `tandem limit` does: it takes a place and becomes the command.
 *
 * @module
 */
import { Limit, type Lock } from "@tandem/ipc/limit";
import { TandemError } from "@tandem/ipc";
import type { Context } from "../context.ts";
import { CommandFailure, ExitCode } from "../exit_codes.ts";
import { inheritedDescriptors, passOn } from "./descriptors.ts";
import { givenArguments, givenEnvironment } from "./given.ts";
import type { LimitFlags } from "./flags.ts";
import { refusalText } from "./refusal_text.ts";

/** Ends, at best, by being another program. */
export function runLimited(
  this: Context,
  flags: LimitFlags,
  name: string | undefined,
  ...command: readonly string[]
): void {
  const wait = waitOf(flags);
  if (name === undefined || command.length === 0) {
    throw new TypeError(
      "Cannot run a command: there is none; give the name of a limit, --, and the command",
    );
  }
  // Before there are any others.
  const descriptors = inheritedDescriptors();
  const { max, order, standby } = flags;
  using limit = new Limit(name, {
    max,
    ...(order === undefined ? {} : { order }),
    ...(standby === undefined ? {} : { standby }),
  });
  const lock = acquire(limit, flags, wait);
  if (lock !== null) become(lock, command, descriptors, flags.close ?? false);
  if (flags.skipOk) return;
  throw new CommandFailure(refusalText(limit, command, wait), ExitCode.refused);
}

/** How long to wait, in milliseconds. */
function waitOf({ wait, timeout, standby }: LimitFlags): number {
  if (wait === false && (timeout !== undefined || standby !== undefined)) {
    throw new TypeError(
      "Cannot wait and not wait: --timeout and --standby mean waiting; leave out --no-wait",
    );
  }
  const waits = wait === true || timeout !== undefined || standby !== undefined;
  return waits ? timeout ?? Infinity : 0;
}

/** Blocks the thread, so that signals end this process as they end any other. */
function acquire(limit: Limit, { shared }: LimitFlags, timeout: number): Lock | null {
  const mode = shared ? "shared" : "exclusive";
  return timeout === 0 ? limit.tryAcquire({ mode }) : limit.acquireSync({ mode, timeout });
}

function become(
  lock: Lock,
  command: readonly string[],
  descriptors: readonly number[],
  close: boolean,
): never {
  const [program, ...args] = givenArguments(command);
  passOn(descriptors);
  try {
    lock.exec(program!, args, { close, environment: givenEnvironment() });
  } catch (error) {
    throw failureOf(error);
  }
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof TandemError)) return error;
  const isMissing = error.code === "NOT_FOUND";
  return new CommandFailure(
    error.message,
    isMissing ? ExitCode.notFound : ExitCode.notExecutable,
    { cause: error },
  );
}
