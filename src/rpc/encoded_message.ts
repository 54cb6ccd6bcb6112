/**
 * Messages that are encoded at once and sent later, or several times. Changes that the caller makes to the
 * values meanwhile have no effect.
 *
 * They are independent of any target. The message numbers its streams; they get a host when it is sent.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { EncodedValues, Encoder } from "../codec/encoder.ts";
import type { StreamKind } from "../codec/stream_kinds.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import {
  headerBytes,
  messageBytes,
  type MessageHooks,
  type OutgoingMessage,
  withMessage,
} from "./message.ts";
import { checkLength, type Limits } from "./terms.ts";
import { OutStream } from "./out_stream.ts";

export class EncodedMessage {
  readonly flags: number;
  readonly values: EncodedValues;
  readonly streams: readonly OutStream[];

  constructor(flags: number, values: EncodedValues, streams: readonly OutStream[]) {
    this.flags = flags;
    this.values = values;
    this.streams = streams;
  }

  /** Ends its streams: the message will not be sent again. */
  drop(reason: TandemError): void {
    for (const stream of this.streams) stream.end(reason);
  }
}

/** For messages that are encoded before there is a target. */
class Detached implements MessageHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number;
  readonly streams: OutStream[] = [];
  readonly #limits: Limits;

  constructor(errorClasses: ErrorClasses, limits: Limits) {
    this.errorClasses = errorClasses;
    this.maxTreeBytes = limits.maxTreeBytes;
    this.#limits = limits;
  }

  addStream(kind: StreamKind, stream: object): number {
    return this.streams.push(new OutStream(kind, stream, undefined)) - 1;
  }

  seal(encoder: Encoder): void {
    encoder.checkTree();
    checkLength(this.#limits, messageBytes(encoder), "send");
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
    return new EncodedMessage(flags, values, hooks.streams);
  } catch (error) {
    const reason = new TandemError("CANCELLED", "The call that the stream came with was not made");
    for (const stream of hooks.streams) stream.end(reason);
    throw error;
  }
}
