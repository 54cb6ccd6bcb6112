/**
 * Whether a service was there while a call waited: if none was, the call fails with `NO_SERVER` instead of
 * `TIMEOUT`.
 *
 * Counting services takes system calls, so calls that succeed do not count them.
 *
 * @module
 */
import type { Requester } from "../transport/transport.ts";

export class Presence {
  readonly #requester: Requester;
  /** Answers of services: each proves that there was one. */
  answers: number = 0;

  constructor(requester: Requester) {
    this.#requester = requester;
  }

  /** Whether a service is open now. False also when the line is closed. */
  get isServed(): boolean {
    try {
      return this.#requester.receivers > 0;
    } catch {
      return false;
    }
  }

  /** Whether a service was seen since there were so many {@linkcode answers}. */
  wasServedSince(answers: number): boolean {
    return this.answers !== answers || this.isServed;
  }
}
