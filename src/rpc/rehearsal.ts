/**
 * Encodes values without sending them, to learn whether several receivers could get them.
 *
 * @module
 */
import type { Encoder } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { Kind, type MessageHooks, withMessage } from "./message.ts";
import type { ConnectionTerms } from "./terms.ts";

/** Counts the values to which a message only refers, and touches none of them. */
class Rehearsal implements MessageHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly readsBlobs = true;
  hasStreams = false;
  #count = 0;

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

  seal(encoder: Encoder): void {
    encoder.checkTree();
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
  withMessage(hooks, Kind.call, 0, Infinity, write, () => {});
  return hooks.hasStreams;
}
