/**
 * The values of topics as messages.
 *
 * @module
 */
import type { Encoder } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { corrupt } from "../codec/reader.ts";
import { treeBytesDefault } from "../codec/tree_budget.ts";
import { TandemError } from "../errors.ts";
import type { Bytes } from "../transport/transport.ts";
import {
  Kind,
  messageBytes,
  type MessageHooks,
  type OutgoingMessage,
  type ReadHooks,
  type Reading,
  readMessage,
  sealMessage,
  withMessage,
} from "./message.ts";

/** Only values: nothing that stays in the process of the publisher. */
export class TopicCodec implements MessageHooks, ReadHooks {
  readonly errorClasses: ErrorClasses;
  readonly maxTreeBytes: number = treeBytesDefault;
  readonly #maxBytes: number;

  constructor(errorClasses: ErrorClasses, maxBytes: number) {
    this.errorClasses = errorClasses;
    this.#maxBytes = maxBytes;
  }

  /**
   * Encodes a value and hands the message to `send`, which must not keep it.
   *
   * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE`
   */
  encode<R>(value: unknown, send: (message: Bytes) => R): R {
    const write = (encoder: Encoder) => encoder.named("value", value);
    return withMessage(this, Kind.value, 0, this.#maxBytes, write, (message) => {
      return send(message.whole ?? joined(message));
    });
  }

  seal(encoder: Encoder, kind: number, flags: number): void {
    encoder.checkTree();
    sealMessage(encoder, kind, flags);
    this.#checkLength(messageBytes(encoder));
  }

  decode(message: Bytes): unknown {
    return readMessage(this, message, true, readValue, undefined);
  }

  forget(): void {}

  #checkLength(length: number): void {
    if (length <= this.#maxBytes) return;
    throw new TandemError(
      "TOO_LARGE",
      `Cannot publish a value of ${length} bytes: maxMessageBytes of the topic is ${this.#maxBytes}; ` +
        "raise it in all processes, or publish less",
    );
  }
}

/** A message and its byte strings in one piece. */
function joined(message: OutgoingMessage): Bytes {
  const bytes: Bytes = new Uint8Array(message.byteLength);
  message.copyTo(bytes);
  return bytes;
}

function readValue({ kind, decoder }: Reading): unknown {
  if (kind !== Kind.value) throw corrupt(`a value of a topic has kind ${kind}`);
  const value = decoder.value();
  decoder.finish();
  return value;
}
