/**
 * Promises whose errors lead to the code that awaits them.
 *
 * A runtime can tell which code awaits a promise only while the promise rejects in a certain way, so the
 * frames are added to an error in the last moment: see {@linkcode withCallers}.
 *
 * @module
 */
import { isEnding } from "../base/closing.ts";
import { followsPromises } from "../runtime/awaits.ts";
import { queueMicrotask } from "../runtime/timers.ts";
import { withCallers } from "./call_errors.ts";

type Resolve = (value: unknown) => void;

/** A promise and the function that resolves it. {@linkcode fail} makes it reject. */
export interface Raising<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

/** An error on its way to the function that throws it. */
class Failure {
  readonly #error: unknown;

  constructor(error: unknown) {
    this.#error = error;
  }

  /** Throws the error if `outcome` is one on its way. Runs no code of a result, which may be a Proxy. */
  static throwIn(outcome: unknown): void {
    if (typeof outcome === "object" && outcome !== null && #error in outcome) {
      throw withCallers(outcome.#error);
    }
  }
}

const made: { resolve: Resolve | null } = { resolve: null };
const capture = (resolve: Resolve): void => {
  made.resolve = resolve;
};

function takeResolve(): Resolve {
  const resolve = made.resolve!;
  // Otherwise the promise would stay reachable, and its result with it.
  made.resolve = null;
  return resolve;
}

async function outcomeOf(settled: Promise<unknown>): Promise<unknown> {
  const outcome = await settled;
  Failure.throwIn(outcome);
  return outcome;
}

/** From the rejection of {@linkcode raised} until the reactions of the promise that follows it have run. */
const microtasksOfRejection = 3;

/** Rejects when the promise that was resolved with it has a reaction for V8 to follow. */
async function raised(error: unknown, afterwards: () => void): Promise<never> {
  await null;
  await null;
  // V8 does not follow a promise that has a second reaction, so only counting tells when it has rejected.
  afterMicrotasks(microtasksOfRejection, afterwards);
  throw withCallers(error);
}

function afterMicrotasks(count: number, body: () => void): void {
  queueMicrotask(count === 1 ? body : () => afterMicrotasks(count - 1, body));
}

const ignore = (): void => {};

/** @param type the class of the promise, which has no constructor of its own */
export function openRaising<T>(type: PromiseConstructor = Promise): Raising<T> {
  if (followsPromises) {
    const promise = new type<unknown>(capture);
    return { promise: promise as Promise<T>, resolve: takeResolve() };
  }
  const settled = new Promise<unknown>(capture);
  const resolve = takeResolve();
  const promise = outcomeOf(settled);
  if (type !== Promise) Object.setPrototypeOf(promise, type.prototype);
  return { promise: promise as Promise<T>, resolve };
}

/**
 * Makes the promise reject. It is no unhandled rejection when the user closes the connection.
 *
 * @param afterwards runs when another promise may settle without overtaking this one
 */
export function fail<T>(
  { promise, resolve }: Raising<T>,
  error: unknown,
  afterwards: () => void = ignore,
): void {
  if (isEnding(error)) promise.catch(ignore);
  if (followsPromises) return (resolve as Resolve)(raised(error, afterwards));
  (resolve as Resolve)(new Failure(error));
  afterwards();
}
