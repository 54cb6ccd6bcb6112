/**
 * Failed calls, as clients of ZeroMQ see them.
 *
 * @module
 */
import { isTandemError, textOf } from "../base/guard.ts";
import { type ErrorCode, RemoteError } from "../errors.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Why a call has failed. */
export interface CallFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

const encoder = new TextEncoder();

/** The first frame of an error. */
export const errorMark = "TANDEM-ERROR";

/** A longer message is cut, in UTF-16 units. */
const messageUnitsMax = 4_096;

/** Errors that a service raises for a call before its method runs, or for its result. */
const serviceCodes: ReadonlySet<string> = new Set<ErrorCode>([
  "UNKNOWN_METHOD",
  "INVALID_ARGUMENTS",
  "NOT_SERIALIZABLE",
  "TOO_LARGE",
  "NO_SPACE",
  "CANCELLED",
  "CLOSED",
  "BUSY",
  "TIMEOUT",
  "SERVER_DIED",
]);

/** The failure behind an error of a call. */
export function failureOf(error: unknown): CallFailure {
  const message = textOf(error);
  if (!isTandemError(error)) return { code: "REMOTE", message };
  if (!(error instanceof RemoteError)) return { code: error.code, message };
  const { remoteName, remoteMessage, remoteProperties } = error;
  const code = remoteProperties["code"];
  const isOfService = remoteName === "TandemError" && typeof code === "string" &&
    serviceCodes.has(code);
  if (isOfService) return { code: code as ErrorCode, message: remoteMessage };
  return { code: "REMOTE", message };
}

/** The frames of an error. */
export function errorFrames({ code, message }: CallFailure): Bytes[] {
  return [errorMark, code, message.slice(0, messageUnitsMax)].map((text) => encoder.encode(text));
}
