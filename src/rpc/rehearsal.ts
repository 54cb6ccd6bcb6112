/**
 * Encodes values without sending them, to learn whether several receivers could get them.
 *
 * @module
 */
import type { AddedFunction, Encoder } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { TandemError } from "../errors.ts";
import { addFunction } from "./add_function.ts";
import type { Lent } from "./lent.ts";
import { Kind, type MessageHooks, withMessage } from "./message.ts";
import type { ConnectionTerms } from "./terms.ts";

/** Counts the values to which a message only refers. */
class Rehearsal implements MessageHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly readsBlobs = true;
  hasStreams = false;
  #count = 0;
  readonly #functions: Lent[] = [];

  constructor({ errorClasses, limits }: Pick<ConnectionTerms, "errorClasses" | "limits">) {
    this.errorClasses = errorClasses;
    this.maxTreeBytes = limits.maxTreeBytes;
  }

  addStream(): number {
    this.hasStreams = true;
    return this.#count++;
  }

  addSignal(): number {
    return this.#count++;
  }

  addFunction(value: object): AddedFunction | string {
    return addFunction(value, undefined, (lent) => {
      this.#functions.push(lent);
      return this.#count++;
    });
  }

  seal(encoder: Encoder): void {
    encoder.checkTree();
  }

  /** Ends these loans of the functions, which the program goes on to lend. */
  end(): void {
    const reason = new TandemError("CANCELLED", "This message is not sent");
    for (const lent of this.#functions) lent.end(reason);
  }
}

/**
 * Whether there is a stream among the values.
 *
 * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE`
 * @throws what user code throws while the values are read
 */
export function hasStreams(
  values: readonly unknown[],
  terms: Pick<ConnectionTerms, "errorClasses" | "limits">,
): boolean {
  const hooks = new Rehearsal(terms);
  const write = (encoder: Encoder) => encoder.list("arguments", values);
  try {
    withMessage(hooks, Kind.call, 0, Infinity, write, () => {});
    return hooks.hasStreams;
  } finally {
    hooks.end();
  }
}
