/**
 * Messages that are encoded at once and sent later, or several times. Changes that the caller makes to the
 * values meanwhile have no effect.
 *
 * They are independent of any target. The message numbers its lent values; they get a host when it is sent.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { AddedFunction, EncodedValues, Encoder } from "../codec/encoder.ts";
import type { StreamKind } from "../codec/stream_kinds.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import {
  headerBytes,
  messageBytes,
  type MessageHooks,
  type OutgoingMessage,
  withMessage,
} from "./message.ts";
import { readBlobs } from "./blob_reading.ts";
import { checkLength, type Limits } from "./terms.ts";
import { addFunction } from "./add_function.ts";
import type { Lent } from "./lent.ts";
import { OutSignal } from "./out_signal.ts";
import { OutStream } from "./out_stream.ts";

export class EncodedMessage {
  readonly flags: number;
  #values: EncodedValues;
  readonly lent: readonly Lent[];
  /** Settles when the Blobs of the message are read; null: it has none. */
  readonly reading: Promise<void> | null;

  constructor(flags: number, values: EncodedValues, lent: readonly Lent[]) {
    this.flags = flags;
    this.#values = values;
    this.lent = lent;
    this.reading = values.unread ? this.#read() : null;
    // Its users may have stopped waiting.
    this.reading?.catch(() => {});
  }

  async #read(): Promise<void> {
    this.#values = await readBlobs(this.#values);
  }

  get values(): EncodedValues {
    return this.#values;
  }

  /** Bytes of Blobs are missing: the message can be sent once {@linkcode reading} has resolved. */
  get isUnread(): boolean {
    return this.#values.unread !== null;
  }

  /** Ends its lent values: the message will not be sent again. */
  drop(reason: TandemError): void {
    for (const lent of this.lent) lent.end(reason);
  }
}

/** For messages that are encoded before there is a target. */
class Detached implements MessageHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly lent: Lent[] = [];
  readonly readsBlobs = true;
  readonly #limits: Limits;

  constructor(errorClasses: ErrorClasses, limits: Limits) {
    this.errorClasses = errorClasses;
    this.maxTreeBytes = limits.maxTreeBytes;
    this.#limits = limits;
  }

  addStream(kind: StreamKind, stream: object): number {
    return this.lent.push(new OutStream(kind, stream, undefined)) - 1;
  }

  addSignal(signal: AbortSignal): number {
    return this.lent.push(new OutSignal(signal)) - 1;
  }

  addFunction(value: object): AddedFunction | string {
    return addFunction(value, undefined, (lent) => this.lent.push(lent) - 1);
  }

  seal(encoder: Encoder): void {
    encoder.checkTree();
    checkLength(this.#limits, messageBytes(encoder) + encoder.unreadBytes, "send");
  }
}

/**
 * Encodes a message with `write`.
 *
 * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE`
 */
export function encodeMessage(
  errorClasses: ErrorClasses,
  limits: Limits,
  kind: number,
  flags: number,
  write: (encoder: Encoder) => void,
): EncodedMessage {
  const hooks = new Detached(errorClasses, limits);
  try {
    const take = ({ encoder }: OutgoingMessage) => encoder.take(headerBytes, encoder.length);
    const values = withMessage(hooks, kind, flags, Infinity, write, take);
    return new EncodedMessage(flags, values, hooks.lent);
  } catch (error) {
    const reason = new TandemError("CANCELLED", "The call that the value came with was not made");
    for (const lent of hooks.lent) lent.end(reason);
    throw error;
  }
}
