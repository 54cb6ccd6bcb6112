/**
 * What the error of a call says about the call: its target and method, the code that awaits it, and where
 * on the other side the error was thrown.
 *
 * @module
 */
import { reasonOf } from "../base/abort.ts";
import { endedByClosing, isEnding } from "../base/closing.ts";
import { RemoteError, TandemError } from "../errors.ts";

/** The call that an error belongs to. */
export interface CallSite {
  readonly target: string;
  /** Empty: the service is a bare function. */
  readonly method: string;
  /** Made when the program made the call; undefined without the option `callSites`. */
  readonly site: Error | undefined;
}

interface Details {
  readonly call: CallSite;
  /** Before target and method were added. */
  readonly message: string;
  /** Frames of the other side. */
  readonly remote: readonly string[];
  /** Frames of this side that are known so far. */
  callers: readonly string[];
}

const known: WeakMap<object, Details> = new WeakMap();

/** Whether a call has failed because the program has aborted it. */
function isReason(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal !== undefined && signal.aborted && error === reasonOf(signal);
}

/**
 * The error with which a call fails. Errors of this package name the call. Others come unchanged from code
 * of the program, such as an abort reason, unless the other side has thrown them. Never throws.
 *
 * @param isAnswer the other side has sent the error
 * @param signal the signal of the call, whose reason is the program's own
 */
export function errorOfCall(
  error: unknown,
  call: CallSite,
  isAnswer: boolean,
  signal: AbortSignal | undefined,
): unknown {
  try {
    return isReason(error, signal) ? error : nameError(error, call, isAnswer);
  } catch {
    // The program has thrown something that cannot be looked at.
    return error;
  }
}

function nameError(error: unknown, call: CallSite, isAnswer: boolean): unknown {
  if (error instanceof TandemError) return nameCall(error, call);
  if (!isAnswer || !(error instanceof Error) || !Object.isExtensible(error)) return error;
  // An error of a registered class keeps its message, which programs may compare.
  if (known.has(error)) return error;
  setHidden(error, "target", call.target);
  setHidden(error, "method", call.method);
  const remote = framesOf(error.stack ?? "");
  known.set(error, { call, message: error.message, remote, callers: siteFrames(call) });
  return error;
}

function nameCall(error: TandemError, call: CallSite): TandemError {
  // Calls that end together may share one error.
  const shared = known.get(error);
  const own = shared || !Object.isExtensible(error) ? copyOf(error, shared?.message) : error;
  const { message } = own;
  own.target = call.target;
  own.method = call.method;
  own.message = `${message} (${placeOf(call)})`;
  const remote = own instanceof RemoteError ? framesOf(own.remoteStack) : [];
  known.set(own, { call, message, remote, callers: siteFrames(call) });
  return own;
}

/** An error as it was before the name of a call was added to it: the next call that it passes adds its own. */
export function withoutCall(error: TandemError): TandemError {
  const details = known.get(error);
  return details ? copyOf(error, details.message) : error;
}

function copyOf(error: TandemError, message: string = error.message): TandemError {
  const copy = new TandemError(error.code, message);
  const { stack: _, message: __, ...others } = Object.getOwnPropertyDescriptors(error);
  Object.defineProperties(copy, others as PropertyDescriptorMap);
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error));
  return isEnding(error) ? endedByClosing(copy) : copy;
}

function placeOf({ target, method }: CallSite): string {
  const service = JSON.stringify(target);
  return method === ""
    ? `the function ${service}`
    : `method ${JSON.stringify(method)} of ${service}`;
}

/** The line between the frames of this side and those of the other side, in a form that runtimes print. */
function borderOf({ target, method }: CallSite): string {
  return `    at the service of ${JSON.stringify(target)} (${
    method === "" ? "the function itself" : `method ${method}`
  })`;
}

function setHidden(error: Error, name: string, value: unknown): void {
  Object.defineProperty(error, name, { value, writable: true, configurable: true });
}

const isFrame = (line: string): boolean => /^\s+at /.test(line);

function framesOf(stack: string): string[] {
  return stack.split("\n").filter(isFrame);
}

function siteFrames({ site }: CallSite): string[] {
  return site ? framesOf(site.stack ?? "") : [];
}

/** The frames of the code that awaits the function that calls this; the others are of this package. */
function awaitingFrames(): string[] {
  return framesOf(new Error().stack ?? "").filter((frame) => /^\s+at async /.test(frame));
}

/** Adds the frames of the code that awaits the running function to the error of a call. */
export function withCallers(error: unknown): unknown {
  const details = typeof error === "object" && error !== null ? known.get(error) : undefined;
  if (!details) return error;
  try {
    writeStack(error as Error, details);
  } catch {
    // The program has made the stack read-only, or has set stackTraceLimit to a value of its own.
  }
  return error;
}

function writeStack(error: Error, details: Details): void {
  const { call, remote } = details;
  const callers = new Set([...details.callers, ...awaitingFrames()]);
  details.callers = [...callers];
  const other = remote.length > 0 ? [borderOf(call), ...remote] : [];
  const hasFrames = callers.size > 0 || other.length > 0;
  if (hasFrames) forgetFrames(error);
  const frames = hasFrames ? [...callers, ...other] : framesOf(error.stack ?? "");
  setHidden(error, "stack", [`${error.name}: ${error.message}`, ...frames].join("\n"));
}

/** Deno prints the frames that it knows itself, even if `stack` has others. */
function forgetFrames(error: Error): void {
  const holder = Error as {
    stackTraceLimit?: number;
    captureStackTrace?(error: object): void;
  };
  const limit = holder.stackTraceLimit;
  try {
    holder.stackTraceLimit = 0;
    holder.captureStackTrace?.(error);
  } finally {
    if (limit !== undefined) holder.stackTraceLimit = limit;
  }
}

/** @param caller its frame, and those above it, are left out */
export function callSite(caller: (...args: never[]) => unknown): Error {
  const site = new Error();
  (Error as { captureStackTrace?(error: object, below: unknown): void })
    .captureStackTrace?.(site, caller);
  return site;
}
