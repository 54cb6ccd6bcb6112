/**
 * The arguments of a request, converted as Web IDL does it for the specification: the name and the mode become strings,
 * flags become booleans, and options are read in the order of their names.
 *
 * @module
 */
import { getterOf } from "../base/brands.ts";
import { describe, timeoutOf } from "../base/checks.ts";
import type { NamedLock, NamedLockOptions } from "./lock_types.ts";
import type { LockMode } from "./types.ts";

interface CheckedOptions {
  readonly ifAvailable: boolean;
  readonly max: number;
  readonly mode: LockMode;
  readonly signal: AbortSignal | undefined;
  readonly steal: boolean;
  readonly timeout: number;
}

/** A request as it was checked. */
export interface LockOrder extends CheckedOptions {
  readonly name: string;
  readonly callback: (lock: NamedLock | null) => unknown;
}

/** Throws for what is no AbortSignal. */
const hasAborted = getterOf<boolean>(AbortSignal.prototype, "aborted");

/**
 * Reads the arguments of `request(name, callback)` or `request(name, options, callback)`.
 *
 * @throws {TypeError | RangeError} for a wrong argument
 * @throws {DOMException} `NotSupportedError` for a name or a combination that the specification excludes
 */
export function readOrder(args: readonly unknown[]): LockOrder {
  if (args.length < 2) {
    throw new TypeError(
      `Cannot request a lock with ${args.length} arguments: give a name and a callback`,
    );
  }
  // A symbol throws here, as in the specification.
  const name = `${args[0]}`;
  const options = readOptions(args.length > 2 ? args[1] : undefined);
  const callback = args.length > 2 ? args[2] : args[1];
  if (typeof callback !== "function") {
    throw new TypeError(
      `Cannot use ${describe(callback)} as the callback of a lock: give a function`,
    );
  }
  checkSupport(name, options);
  return { name, callback: callback as LockOrder["callback"], ...options };
}

function readOptions(given: unknown): CheckedOptions {
  if (given !== undefined && typeof given !== "object" && typeof given !== "function") {
    throw new TypeError(`Cannot use ${describe(given)} as the options of a lock: give an object`);
  }
  const options = (given ?? {}) as NamedLockOptions;
  return {
    ifAvailable: Boolean(options.ifAvailable),
    max: options.max ?? 1,
    mode: modeOf(options.mode),
    signal: signalOf(options.signal),
    steal: Boolean(options.steal),
    timeout: checkedTimeout(options.timeout),
  };
}

function checkedTimeout(timeout = Infinity): number {
  timeoutOf({ timeout });
  return timeout;
}

function modeOf(given: unknown): LockMode {
  if (given === undefined) return "exclusive";
  const mode = `${given}`;
  if (mode === "exclusive" || mode === "shared") return mode;
  throw new TypeError(
    `Cannot use ${describe(given)} as the mode of a lock: give "exclusive" or "shared"`,
  );
}

function signalOf(given: unknown): AbortSignal | undefined {
  if (given === undefined) return undefined;
  try {
    hasAborted(given);
  } catch {
    throw new TypeError(`Cannot use ${describe(given)} as a signal: give an AbortSignal`);
  }
  return given as AbortSignal;
}

/** What the specification excludes, in its order. */
function checkSupport(name: string, { ifAvailable, mode, signal, steal }: CheckedOptions): void {
  if (name.startsWith("-")) {
    throw notSupported(`request lock ${describe(name)}: names that begin with "-" are reserved`);
  }
  if (steal && ifAvailable) {
    throw notSupported("request a lock with both steal and ifAvailable: choose one");
  }
  if (steal && mode !== "exclusive") {
    throw notSupported("steal a lock in shared mode: leave the mode out, or do not steal");
  }
  if (signal !== undefined && (steal || ifAvailable)) {
    throw notSupported("request a lock with a signal and steal or ifAvailable, which never wait");
  }
}

function notSupported(what: string): DOMException {
  return new DOMException(`Cannot ${what}`, "NotSupportedError");
}
