/**
 * Answers of typed calls, written and read.
 *
 * @module
 */
import { codeOf, textOf } from "../base/guard.ts";
import { failWith } from "../channel/answering.ts";
import type { RequestCore } from "../channel/request_core.ts";
import { type ErrorCode, RemoteError, TandemError } from "../errors.ts";
import type { Decoder, Thrown } from "../codec/decoder.ts";
import { corrupt } from "../codec/decoder.ts";
import type { Encoder } from "../codec/encoder.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { copyMessage, Kind, messageBytes, type MessageHooks, withMessage } from "./message.ts";

/** Sends a sealed message as the answer. False: nobody waits for it any more. */
export function replyMessage(request: RequestCore, encoder: Encoder): boolean {
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
 * Refuses a request: its caller gets the code and the message of `error`. Where no memory is left for
 * all of it, it gets less; it always gets something. Never throws.
 *
 * @param max the longest answer
 */
export function refuse(
  request: RequestCore,
  endpoint: { writes(claim: "receiver"): MessageHooks },
  error: unknown,
  max: number,
): void {
  const send = (encoder: Encoder) => replyMessage(request, encoder);
  for (const write of [writeRefusal, writeShortRefusal]) {
    try {
      const hooks = endpoint.writes("receiver");
      withMessage(hooks, Kind.refused, 0, max, (encoder) => write(encoder, error), send);
      return;
    } catch {
      // The next form is shorter.
    }
  }
  failWith(request, error);
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
