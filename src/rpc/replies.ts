/**
 * Answers of typed calls, written and read.
 *
 * @module
 */
import { codeOf, isTandemError, textOf } from "../base/guard.ts";
import type { Decoder, Thrown } from "../codec/decoder.ts";
import { corrupt } from "../codec/reader.ts";
import { type Encoder, UserCodeError } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { type ErrorCode, RemoteError, TandemError } from "../errors.ts";
import type { Bytes, Delivery } from "../transport/transport.ts";
import type { CallContext } from "./context.ts";
import type { LotOwner } from "./lent.ts";
import { withoutCall } from "./call_errors.ts";
import { waitForMemory } from "./full_memory.ts";
import { forwardedAnswer } from "./forwarded.ts";
import { Kind, type OutgoingMessage, withMessage } from "./message.ts";
import { whenRead } from "./blob_reading.ts";
import type { EncodedMessage } from "./encoded_message.ts";
import type { Side } from "./side.ts";
import { Unread, type Writes } from "./writes.ts";

/** Sends a message as the answer. False: the caller no longer waits. */
function replyMessage(delivery: Delivery, message: OutgoingMessage): boolean {
  const { whole } = message;
  if (whole) return delivery.reply(whole);
  return replyIn(delivery, delivery.allocate(message.byteLength), message);
}

function replyIn(delivery: Delivery, answer: Bytes, message: OutgoingMessage): boolean {
  message.copyTo(answer);
  return delivery.reply(answer);
}

/** As {@linkcode replyMessage}; if memory is full, the answer takes that of the request. */
function replyInstead(delivery: Delivery, message: OutgoingMessage): boolean {
  try {
    return replyMessage(delivery, message);
  } catch (error) {
    if (codeOf(error) !== "NO_SPACE") throw error;
    return replyIn(delivery, delivery.allocateInstead(message.byteLength), message);
  }
}

/** A delivery to answer, and the end that answers it. */
export interface Reply {
  readonly delivery: Delivery;
  readonly side: Pick<Side, "writes" | "isClosed" | "errorClasses">;
  /** The longest answer. */
  readonly max: number;
  /** The request is not read any more, and the answer may wait for memory until the caller gives up. */
  readonly waitsForMemory?: boolean;
  /** Attempts that have found no memory. */
  readonly attempts?: number;
  /** The context in which the answer's streams run. */
  readonly call?: CallContext | undefined;
  /** The stream with which the answer's lent values end. */
  readonly owner?: LotOwner | undefined;
}

/** An answer that is sent when its Blobs are read, or when there is memory for it. */
class LaterReply {
  /** As {@linkcode replyWith} returns it, and never one of these. Never rejects. */
  readonly outcome: Promise<unknown>;

  constructor(outcome: Promise<unknown>) {
    this.outcome = outcome;
  }
}

/** There is no memory for a message, which was taken back. */
class MemoryFull {
  readonly message: EncodedMessage;
  readonly error: unknown;

  constructor(message: EncodedMessage, error: unknown) {
    this.message = message;
    this.error = error;
  }
}

/** Never rejects. */
async function replyWhenRoom(
  reply: Reply,
  kind: number,
  { message, error }: MemoryFull,
): Promise<unknown> {
  const { attempts = 0 } = reply;
  if (!await waitForMemory(reply.delivery, attempts)) {
    message.drop(answerUnwanted());
    return error;
  }
  return await resumed({ ...reply, attempts: attempts + 1 }, kind, message);
}

async function resumed(reply: Reply, kind: number, message: EncodedMessage): Promise<unknown> {
  const outcome = replyWith(reply, kind, (encoder, writes) => writes.resume(encoder, message));
  return outcome instanceof LaterReply ? await outcome.outcome : outcome;
}

async function replyWhenRead(
  reply: Reply,
  kind: number,
  message: EncodedMessage,
): Promise<unknown> {
  const { signal } = reply.delivery;
  try {
    await whenRead(message.reading!, { deadline: Infinity, closing: signal });
  } catch (error) {
    message.drop(answerUnwanted());
    return isTandemError(error) ? error : new UserCodeError(error);
  }
  if (message.isUnread) {
    // The caller no longer waits.
    message.drop(answerUnwanted());
    return undefined;
  }
  return await resumed(reply, kind, message);
}

/**
 * Answers with a message that `write` encodes. Never throws.
 *
 * @returns undefined: the answer was sent, or the caller no longer waits; a {@linkcode LaterReply};
 * otherwise the error
 */
export function replyWith(
  reply: Reply,
  kind: number,
  write: (encoder: Encoder, writes: Writes) => void,
): unknown {
  const { delivery, side, max, call, owner } = reply;
  if (side.isClosed) return undefined;
  const writes = side.writes("receiver", call, owner);
  const send = (message: OutgoingMessage) => {
    if (!reply.waitsForMemory) return replyMessage(delivery, message);
    try {
      return replyInstead(delivery, message);
    } catch (error) {
      if (codeOf(error) !== "NO_SPACE") throw error;
      throw new MemoryFull(writes.withdraw(message.encoder, 0), error);
    }
  };
  try {
    const encode = (encoder: Encoder) => write(encoder, writes);
    if (!withMessage(writes, kind, 0, max, encode, send)) writes.drop(answerUnwanted());
    return undefined;
  } catch (error) {
    if (error instanceof Unread) {
      return new LaterReply(replyWhenRead(reply, kind, error.message));
    }
    if (error instanceof MemoryFull) return new LaterReply(replyWhenRoom(reply, kind, error));
    writes.drop(answerUnwanted());
    return error ?? new Error("Nothing was thrown");
  }
}

/**
 * Answers with a result. Never throws.
 *
 * @returns undefined: it was sent; a promise: it is sent when its Blobs are read
 */
export function replyResult(
  reply: Reply,
  kind: number,
  result: unknown,
): ResultFailure | undefined | Promise<ResultFailure | undefined> {
  if (reply.delivery.isForwarded) return replyForwarded(reply.delivery, result);
  const error = replyWith(reply, kind, (encoder) => encoder.result(result));
  return error instanceof LaterReply ? error.outcome.then(failureOf) : failureOf(error);
}

function replyForwarded(delivery: Delivery, result: unknown): ResultFailure | undefined {
  try {
    delivery.reply(forwardedAnswer(result));
    return undefined;
  } catch (error) {
    return { error, wasThrown: false };
  }
}

function failureOf(error: unknown): ResultFailure | undefined {
  if (error === undefined) return undefined;
  if (error instanceof UserCodeError) return { error: error.thrown, wasThrown: true };
  return { error, wasThrown: false };
}

/** The error for which a result was not sent. */
export interface ResultFailure {
  readonly error: unknown;
  /** User code threw the error while the result was read. */
  readonly wasThrown: boolean;
}

/**
 * Answers with a thrown value. Never throws.
 *
 * @returns a promise when Blobs among its properties have to be read first
 */
export function replyThrown(reply: Reply, error: unknown): Promise<void> | undefined {
  if (reply.side.errorClasses.isPassing && isTandemError(error)) {
    // What the other side has thrown is no error of this package here, unless it is a value that is no error.
    if (!(error instanceof RemoteError)) return void refuse(reply, passedOn(error));
    error = error.cause;
  }
  if (reply.delivery.isForwarded) return void failDelivery(reply.delivery, error);
  const failed = replyWith(reply, Kind.thrown, (encoder) => encoder.thrown(error));
  if (!(failed instanceof LaterReply)) return endThrown(reply, error, failed);
  return failed.outcome.then((failed) => {
    // Blobs that cannot be read must not hide the error.
    if (failed === undefined) return;
    endThrown(reply, error, replyWith(reply, Kind.thrown, (to) => to.thrown(error, false)));
  });
}

/** @param failed why the thrown value was not sent; undefined: it was */
function endThrown(reply: Reply, error: unknown, failed: unknown): undefined {
  if (failed !== undefined && !isTandemError(failed)) {
    // The thrown value cannot be read, so the caller gets only its text.
    const shown = new Error(textOf(error));
    failed = replyWith(reply, Kind.thrown, (encoder) => encoder.thrown(shown));
  }
  if (failed !== undefined) refuse(reply, failed);
}

/** An error of this package, for a caller further away. */
function passedOn(error: TandemError): TandemError {
  const plain = withoutCall(error);
  // It is not the caller who has closed something.
  if (plain.code !== "CLOSED") return plain;
  return new TandemError("SERVER_DIED", plain.message, { cause: plain.cause });
}

/** The reason with which the streams of a message end when its answer does not matter any more. */
export function answerUnwanted(): TandemError {
  return new TandemError("CANCELLED", "The caller no longer waits for the answer");
}

/** Codes for a call that did not reach its method, or a result that did not reach the caller. */
const refusalCodes: ReadonlySet<string> = new Set<ErrorCode>([
  "UNKNOWN_METHOD",
  "INVALID_ARGUMENTS",
  "NOT_SERIALIZABLE",
  "MISMATCH",
  "INCOMPATIBLE",
  "CORRUPT",
  "UNSUPPORTED",
  "TOO_LARGE",
  "NO_SPACE",
  "BUSY",
  "CANCELLED",
  "SERVER_DIED",
  "UNKNOWN_OUTCOME",
  "TIMEOUT",
  "NOT_FOUND",
  "NO_SERVER",
  "DISCONNECTED",
]);

function refusalCode(error: unknown): string {
  const code = codeOf(error);
  return code !== undefined && refusalCodes.has(code) ? code : "CORRUPT";
}

/** Writes a refusal: code, message, and the issues that a schema found, or the cause if that is plain data. */
function writeRefusal(encoder: Encoder, error: unknown): void {
  encoder.text(refusalCode(error));
  encoder.text(textOf(error));
  const { issues, cause } = error instanceof Error
    ? error as { issues?: unknown; cause?: unknown }
    : {};
  encoder.value(Array.isArray(issues) ? issues : isPlain(cause) ? { cause } : null);
}

function isPlain(value: unknown): boolean {
  return Object(value) === value && Object.getPrototypeOf(value) === Object.prototype;
}

/** A refusal with so long a message fits into the head of a slot. */
const shortMessageLength = 80;

/** Writes a refusal that always fits, even when no memory is left. */
function writeShortRefusal(encoder: Encoder, error: unknown): void {
  encoder.text(refusalCode(error));
  // Only characters of one byte.
  const text = textOf(error).slice(0, shortMessageLength).replace(/[^\x20-\x7e]/g, "?");
  encoder.text(text);
  encoder.value(null);
}

/**
 * Refuses a request: the caller gets the code and the message of `error`, shortened if memory is short.
 * Never throws.
 */
export function refuse({ delivery, side, max }: Reply, error: unknown): void {
  if (side.isClosed || delivery.isAnswered) return;
  if (delivery.isForwarded) return failDelivery(delivery, error);
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

/** Ends a request without a message of the typed layer. Never throws. */
function failDelivery(delivery: Delivery, error: unknown): void {
  for (const thrown of [error, new Error("The service threw a value that cannot be sent")]) {
    try {
      if (!delivery.isAnswered) delivery.fail(thrown);
      return;
    } catch {
      // The service is closed, which ends its requests; or the value cannot be read.
    }
  }
}

/** Reads a refusal. */
export function readRefusal(decoder: Decoder): TandemError {
  const code = decoder.text();
  const message = decoder.text();
  const more = decoder.value();
  if (!refusalCodes.has(code)) throw corrupt("an error has no known code");
  if (isPlain(more)) return new TandemError(code as ErrorCode, message, more as ErrorOptions);
  const error = new TandemError(code as ErrorCode, message);
  return more === null ? error : Object.assign(error, { issues: more });
}

/** The error for the caller: of its own class if that is registered, otherwise a RemoteError. */
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
