/**
 * What a node answers to requests of other nodes: results, errors, and ends of ports.
 *
 * @module
 */
import { isErrorLike } from "../../base/brands.ts";
import { report, textOf } from "../../base/guard.ts";
import { UserCodeError } from "../../codec/encoder.ts";
import type { Reason, TandemError } from "../../errors.ts";
import { Kind } from "../frames.ts";
import { makeReason } from "../reason.ts";
import type { Outbox } from "./outbox.ts";

/** `id` is the other node's number of what it has asked. Nothing here throws. */
export class Answers {
  readonly #outbox: Outbox;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  value(node: string, id: number, value: unknown): void {
    try {
      this.#outbox.postFrame(node, Kind.answer, 3, (encoder) => {
        encoder.unsigned(id);
        encoder.result(value);
      });
    } catch (error) {
      if (error instanceof UserCodeError) this.thrown(node, id, error.thrown);
      else this.failed(node, id, error as TandemError);
    }
  }

  thrown(node: string, id: number, thrown: unknown): void {
    for (const value of [thrown, new Error(textOf(thrown))]) {
      try {
        const items = isErrorLike(value) ? 4 : 5;
        this.#outbox.postFrame(node, Kind.thrown, items, (encoder) => {
          encoder.unsigned(id);
          encoder.thrown(value, false);
        });
        return;
      } catch {
        // It cannot be read, or is too large: its text remains.
      }
    }
  }

  failed(node: string, id: number, error: TandemError): void {
    const { code, message, reason = null } = error;
    this.#withoutDetails(reason, (reason) => {
      this.#outbox.postFrame(node, Kind.failed, 5, (encoder) => {
        encoder.unsigned(id);
        encoder.text(code);
        encoder.text(message);
        encoder.value(reason);
      });
    });
  }

  down(node: string, id: number, reason: Reason): void {
    this.#withoutDetails(reason, (reason) => {
      this.#outbox.postFrame(node, Kind.down, 3, (encoder) => {
        encoder.unsigned(id);
        encoder.value(reason);
      });
    });
  }

  /** Posts a reason; without its details and its error if those are too large. */
  #withoutDetails<R extends Reason | null>(reason: R, post: (reason: R | Reason) => void): void {
    try {
      post(reason);
    } catch (error) {
      if (reason === null) return report(this, "an answer", error);
      post(makeReason(reason.kind, reason.message.slice(0, 1000), reason.node));
    }
  }
}
