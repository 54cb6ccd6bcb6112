/**
 * Answers of typed calls, written and read.
 *
 * @module
 */
import type { ServerRequest } from "../channel/request.ts";
import { type ErrorCode, RemoteError, TandemError } from "../errors.ts";
import type { Decoder, Thrown } from "./codec/decoder.ts";
import { corrupt } from "./codec/decoder.ts";
import type { Encoder } from "./codec/encoder.ts";
import type { ErrorClasses } from "./codec/error_classes.ts";
import { copyMessage, messageBytes } from "./message.ts";

/** Sends a sealed message as the answer. False: nobody waits for it any more. */
export function replyMessage(request: ServerRequest, encoder: Encoder): boolean {
  if (encoder.blobs.length === 0) return request.reply(encoder.written);
  const answer = request.allocate(messageBytes(encoder));
  copyMessage(encoder, answer);
  return request.reply(answer);
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

/** Writes a refusal: code, message, and what else there is to say. */
export function codeOfRefusal(encoder: Encoder, error: unknown): void {
  const isKnown = error instanceof TandemError && refusalCodes.has(error.code);
  encoder.text(isKnown ? error.code : "CORRUPT");
  encoder.text(error instanceof Error ? error.message : String(error));
  const { issues } = error as { issues?: unknown };
  encoder.value(Array.isArray(issues) ? issues : null);
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
