/**
 * Answers of typed calls, written and read.
 *
 * @module
 */
import { codeOf, isTandemError, textOf } from "../base/guard.ts";
import type { Decoder, Thrown } from "../codec/decoder.ts";
import { corrupt } from "../codec/decoder.ts";
import { type Encoder, UserCodeError } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { type ErrorCode, RemoteError, TandemError } from "../errors.ts";
import type { Delivery } from "../transport/transport.ts";
import type { CallContext } from "./context.ts";
import { Kind, type OutgoingMessage, withMessage } from "./message.ts";
import type { Side } from "./side.ts";

/** Sends a message as the answer. False: no caller waits for it. */
function replyMessage(delivery: Delivery, message: OutgoingMessage): boolean {
  const { whole } = message;
  if (whole) return delivery.reply(whole);
  const answer = delivery.allocate(message.byteLength);
  message.copyTo(answer);
  return delivery.reply(answer);
}

/** What is answered, and from where. */
export interface Reply {
  readonly delivery: Delivery;
  readonly side: Pick<Side, "writes" | "isClosed">;
  /** The longest answer. */
  readonly max: number;
  /** In whose context the streams of the answer go on. */
  readonly call?: CallContext | undefined;
}

/**
 * Answers with what `write` writes. Never throws.
 *
 * @returns undefined: sent, or no caller waits; otherwise why the answer could not be sent
 */
export function replyWith(reply: Reply, kind: number, write: (encoder: Encoder) => void): unknown {
  const { delivery, side, max, call } = reply;
  if (side.isClosed) return undefined;
  const writes = side.writes("receiver", call);
  const send = (message: OutgoingMessage) => replyMessage(delivery, message);
  try {
    if (!withMessage(writes, kind, 0, max, write, send)) writes.drop(nobodyWaits());
    return undefined;
  } catch (error) {
    writes.drop(nobodyWaits());
    return error ?? new Error("Nothing was thrown");
  }
}

/** Answers with a result. If a getter of it throws, that is what the caller gets. Never throws. */
export function replyResult(
  reply: Reply,
  kind: number,
  result: unknown,
): ResultFailure | undefined {
  const error = replyWith(reply, kind, (encoder) => encoder.result(result));
  if (error === undefined) return undefined;
  if (error instanceof UserCodeError) return { error: error.thrown, wasThrown: true };
  return { error, wasThrown: false };
}

/** Why a result was not sent. */
export interface ResultFailure {
  readonly error: unknown;
  /** The user's code has thrown the error while the result was read. */
  readonly wasThrown: boolean;
}

/** Answers with what was thrown. Never throws. */
export function replyThrown(reply: Reply, error: unknown): void {
  let failed = replyWith(reply, Kind.thrown, (encoder) => encoder.thrown(error));
  if (failed !== undefined && !isTandemError(failed)) {
    // The thrown value cannot be read, so its text has to do.
    const shown = new Error(textOf(error));
    failed = replyWith(reply, Kind.thrown, (encoder) => encoder.thrown(shown));
  }
  if (failed !== undefined) refuse(reply, failed);
}

/** Why streams and parcels of a message are dropped that no caller gets. */
export function nobodyWaits(): TandemError {
  return new TandemError("CANCELLED", "The caller does not wait for the answer any more");
}

/** Why a call did not get as far as the method, or its result not as far as the caller. */
const refusalCodes: ReadonlySet<string> = new Set<ErrorCode>([
  "UNKNOWN_METHOD",
  "INVALID_ARGUMENTS",
  "NOT_SERIALIZABLE",
  "MISMATCH",
  "INCOMPATIBLE",
  "CORRUPT",
  "TOO_LARGE",
  "NO_SPACE",
  "BUSY",
  "CANCELLED",
  "SERVER_DIED",
  "TIMEOUT",
  "NOT_FOUND",
]);

function refusalCode(error: unknown): string {
  const code = codeOf(error);
  return code !== undefined && refusalCodes.has(code) ? code : "CORRUPT";
}

/** Writes a refusal: code, message, and what else there is to say. */
function writeRefusal(encoder: Encoder, error: unknown): void {
  encoder.text(refusalCode(error));
  encoder.text(textOf(error));
  const issues = error instanceof Error ? (error as { issues?: unknown }).issues : undefined;
  encoder.value(Array.isArray(issues) ? issues : null);
}

/** With the code and the header, a refusal of so many characters fits into the head of a slot. */
const shortMessageLength = 80;

/** Writes a refusal for which there is always room, also when all memory is taken. */
function writeShortRefusal(encoder: Encoder, error: unknown): void {
  encoder.text(refusalCode(error));
  // Of one byte each.
  const text = textOf(error).slice(0, shortMessageLength).replace(/[^\x20-\x7e]/g, "?");
  encoder.text(text);
  encoder.value(null);
}

/**
 * Refuses a request: its caller gets the code and the message of `error`, or less of it where no memory
 * is left for all. Never throws.
 */
export function refuse({ delivery, side, max }: Reply, error: unknown): void {
  if (side.isClosed || delivery.isAnswered) return;
  const send = (message: OutgoingMessage) => replyMessage(delivery, message);
  for (const write of [writeRefusal, writeShortRefusal]) {
    try {
      const hooks = side.writes("receiver");
      withMessage(hooks, Kind.refused, 0, max, (encoder) => write(encoder, error), send);
      return;
    } catch {
      // The next form is shorter.
    }
  }
  failDelivery(delivery, error);
}

/** Ends a request outside of the typed layer's messages. Never throws. */
function failDelivery(delivery: Delivery, error: unknown): void {
  for (const thrown of [error, new Error("The service threw a value that cannot be sent")]) {
    try {
      if (!delivery.isAnswered) delivery.fail(thrown);
      return;
    } catch {
      // The service was closed, which ends its requests; or the value cannot be read.
    }
  }
}

/** Reads a refusal. */
export function readRefusal(decoder: Decoder): TandemError {
  const code = decoder.text();
  const message = decoder.text();
  const issues = decoder.value();
  if (!refusalCodes.has(code)) throw corrupt("an error has no known code");
  const error = new TandemError(code as ErrorCode, message);
  return issues === null ? error : Object.assign(error, { issues });
}

/** What a caller gets of what was thrown: its own class if that is registered, else a RemoteError. */
export function thrownError(thrown: Thrown, classes: ErrorClasses): Error {
  const { value } = thrown;
  if (!thrown.isError) {
    return new RemoteError({ name: "Error", message: thrown.text, cause: value });
  }
  const error = value as Error;
  if (classes.isRegistered(thrown.type)) return error;
  return new RemoteError({
    name: error.name,
    message: error.message,
    stack: error.stack,
    properties: thrown.properties,
    cause: error.cause,
  });
}
