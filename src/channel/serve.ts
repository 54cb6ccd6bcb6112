/**
 * Serving with a handler.
 *
 * @module
 */
import { keepAlive } from "../runtime/timers.ts";
import { isPayload, type Payload } from "./payload.ts";
import type { ServerRequest } from "./request.ts";
import { describe } from "../base/checks.ts";

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

/** Fails a request whose handler threw. Never throws. */
export function failWith(request: ServerRequest, error: unknown): void {
  for (const thrown of [error, new Error("The handler threw a value that cannot be sent")]) {
    try {
      if (!request.isAnswered) request.fail(thrown);
      return;
    } catch {
      // The server was closed meanwhile, which ends its requests; or there is no way to tell what was thrown.
    }
  }
}

/** What has entered a {@linkcode Gate}. */
export interface Place {
  /** Gives the place back. Twice is fine. */
  leave(): void;
}

/**
 * Handlers in progress, and the promise that there is room for another. Whatever enters gets a
 * {@linkcode Place}, which it leaves in a `finally`.
 */
export class Gate {
  readonly #limit: number;
  #inProgress = 0;
  #inLobby = 0;
  readonly #admissions: ((place: Place) => void)[] = [];
  #wake: (() => void) | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isFull(): boolean {
    // Those that wait for admission come before new ones.
    return this.#inProgress >= this.#limit || this.#admissions.length > 0;
  }

  get isEmpty(): boolean {
    return this.#inProgress === 0 && this.#inLobby === 0;
  }

  /** Takes a place, also where there is none left: {@linkcode isFull} says so. */
  enter(): Place {
    this.#inProgress += 1;
    return this.#place(() => this.#inProgress -= 1);
  }

  /** Keeps the gate from being empty, and takes no place. */
  enterLobby(): Place {
    this.#inLobby += 1;
    return this.#place(() => this.#inLobby -= 1);
  }

  /** Takes a place as soon as there is one; first come, first served. */
  async admission(): Promise<Place> {
    if (!this.isFull) return this.enter();
    return await new Promise<Place>((resolve) => this.#admissions.push(resolve));
  }

  #place(free: () => void): Place {
    let isTaken = true;
    return {
      leave: () => {
        if (!isTaken) return;
        isTaken = false;
        free();
        while (this.#admissions.length > 0 && this.#inProgress < this.#limit) {
          this.#admissions.shift()!(this.enter());
        }
        this.wake();
      },
    };
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
    const release = keepAlive();
    await new Promise<void>((resolve) => this.#wake = resolve);
    release();
  }
}
