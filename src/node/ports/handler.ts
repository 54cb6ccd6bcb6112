/**
 * Functions that handle messages.
 *
 * @module
 */
// `node:util` itself takes Deno and Bun several milliseconds to load.
import * as types from "node:util/types";
import { describe } from "../../base/checks.ts";
import { canBeOffered } from "../../rpc/interface.ts";
import type { AnyFunction } from "../../rpc/sendable.ts";

/** A function that has returned no promise so often will return none later. */
const trustedRuns = 100;

export class Handler {
  readonly fn: AnyFunction;
  readonly self: unknown;
  /** It gets the whole message, and not only what follows the tag. */
  readonly takesTag: boolean;
  /** How often it has run without a promise; Infinity: it returns promises. */
  #syncRuns: number;

  constructor(fn: AnyFunction, self: unknown, takesTag: boolean) {
    this.fn = fn;
    this.self = self;
    this.takesTag = takesTag;
    this.#syncRuns = types.isAsyncFunction(fn) ? Infinity : 0;
  }

  /**
   * Whether code of the handler may run behind an `await`. To follow it there takes longer than all else that a
   * message needs.
   */
  get mayAwait(): boolean {
    return this.#syncRuns < trustedRuns || this.#syncRuns === Infinity;
  }

  ran(): void {
    if (this.#syncRuns < trustedRuns) this.#syncRuns += 1;
  }

  hasAwaited(): void {
    this.#syncRuns = Infinity;
  }

  invoke(message: readonly unknown[]): unknown {
    const { fn, self } = this;
    if (this.takesTag) return fn.apply(self, message as unknown[]);
    switch (message.length) {
      case 1:
        return fn.call(self);
      case 2:
        return fn.call(self, message[1]);
      case 3:
        return fn.call(self, message[1], message[2]);
    }
    return fn.apply(self, message.slice(1));
  }
}

/** @throws {TypeError} */
export function checkFunction(value: unknown, place: string): asserts value is AnyFunction {
  if (typeof value === "function") return;
  throw new TypeError(`Cannot use ${describe(value)} ${place}: give a function`);
}

/**
 * The methods of an object by name: its own, and those of its classes. Getters are not run.
 *
 * @throws {TypeError} for anything but an object
 */
export function handlersOf(api: unknown): Map<string, Handler> {
  if (typeof api !== "object" || api === null || Array.isArray(api)) {
    throw new TypeError(
      `Cannot make a port of ${
        describe(api)
      }: give an object with a method for each tag, or nothing`,
    );
  }
  const handlers = new Map<string, Handler>();
  const seen = new Set<string>();
  for (
    let level: object | null = api;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    const properties: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(level);
    for (const [name, { value }] of Object.entries(properties)) {
      // A property of a subclass, such as a getter, hides the method.
      if (seen.has(name) || !canBeOffered(name)) continue;
      seen.add(name);
      if (typeof value === "function") handlers.set(name, new Handler(value, api, false));
    }
  }
  return handlers;
}
