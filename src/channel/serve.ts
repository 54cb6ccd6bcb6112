/**
 * Serving with a handler.
 *
 * @module
 */
import { isPayload, type Payload } from "./payload.ts";
import type { ServerRequest } from "./request.ts";
import { describe } from "./options.ts";

/**
 * What a handler may return: the answer. `null`, `undefined` and a boolean stand for an empty answer,
 * or, when the handler has answered by itself, for nothing: so `(request) => request.reply("x")` is a
 * handler, too.
 */
export type Result = Payload | boolean | null | void;

/** Answers with what a handler returned, unless it has answered by itself. */
export function answerWith(request: ServerRequest, result: Result): void {
  if (request.isAnswered) return;
  try {
    if (isPayload(result)) request.reply(result);
    else if (result === undefined || result === null || typeof result === "boolean") {
      request.reply();
    } else throw new TypeError(`Cannot send ${describe(result)}: return a string or bytes`);
  } catch (error) {
    failWith(request, error);
  }
}

/** Fails a request whose handler threw; where even that is impossible there is nobody to tell. */
export function failWith(request: ServerRequest, error: unknown): void {
  try {
    if (!request.isAnswered) request.fail(error);
  } catch {
    // The server was closed meanwhile, which ends its requests.
  }
}

/**
 * Handlers in progress, and the promise that there is room for another.
 */
export class Gate {
  readonly #limit: number;
  #inProgress = 0;
  #wake: (() => void) | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    return this.#inProgress >= this.#limit;
  }

  get isEmpty(): boolean {
    return this.#inProgress === 0;
  }

  enter(): void {
    this.#inProgress += 1;
  }

  leave(): void {
    this.#inProgress -= 1;
    this.wake();
  }

  /** Ends {@linkcode change}. */
  wake(): void {
    this.#wake?.();
    this.#wake = null;
  }

  /**
   * Resolves when a handler has ended. Until then the process stays alive, whatever the handlers wait
   * for: no request is waited for meanwhile, which would do the same.
   */
  async change(): Promise<void> {
    const aLongTime = 2 ** 31 - 1;
    const timer = setInterval(() => {}, aLongTime);
    await new Promise<void>((resolve) => this.#wake = resolve);
    clearInterval(timer);
  }
}
