/**
 * Why ports end.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { corrupt } from "../codec/reader.ts";
import { type Reason, type ReasonKind, RemoteError, TandemError } from "../errors.ts";

/** What `kill` takes as a reason. */
export type KillReason = string | {
  /** Why, in words. */
  readonly message: string;
  /** Values for those who monitor the port. */
  readonly details?: readonly unknown[];
};

const kinds: ReadonlySet<string> = new Set<ReasonKind>([
  "normal",
  "die",
  "kill",
  "no_such_port",
  "unhandled_message",
  "not_offered",
  "overflow",
  "transport_error",
  "shutdown",
]);

const noDetails: readonly unknown[] = Object.freeze([]);

export function makeReason(kind: ReasonKind, message: string, node: string): Reason {
  return Object.freeze({ kind, message, node, details: noDetails });
}

/** The reason of a port whose code has thrown. */
export function deathBy(error: RemoteError, node: string): Reason {
  return Object.freeze({ kind: "die", message: error.message, node, details: noDetails, error });
}

/** @throws {TypeError} for anything but a text, or an object with a message */
export function killReason(reason: KillReason | undefined, node: string): Reason {
  if (reason === undefined) return makeReason("normal", "", node);
  if (typeof reason === "string") return makeReason("kill", reason, node);
  const { message, details = noDetails } = Object(reason) as {
    message: unknown;
    details?: unknown;
  };
  if (typeof message !== "string" || !Array.isArray(details)) {
    throw new TypeError(
      `Cannot kill a port because of ${
        describe(reason)
      }: give a text, or { message, details } with a text ` +
        "and an array",
    );
  }
  return Object.freeze({ kind: "kill", message, node, details: Object.freeze([...details]) });
}

/** Whether those that are linked to the port go on. */
export function isNormal({ kind }: Reason): boolean {
  return kind === "normal" || kind === "shutdown";
}

/** A reason for another port, which ends with this one. */
export function passedOn(reason: Reason, node: string): Reason {
  return Object.freeze({ ...reason, node });
}

/**
 * Reads a reason that another node has sent.
 *
 * @throws {TandemError} `CORRUPT`
 */
export function readReason(value: unknown): Reason {
  const { kind, message, node, details, error } = Object(value) as Record<string, unknown>;
  if (
    typeof kind !== "string" || !kinds.has(kind) || typeof message !== "string" ||
    typeof node !== "string" || !Array.isArray(details) ||
    (error !== undefined && !(error instanceof RemoteError))
  ) throw corrupt("a reason is missing");
  return Object.freeze({
    kind: kind as ReasonKind,
    message,
    node,
    details: Object.freeze(details),
    ...(error === undefined ? {} : { error: error as RemoteError }),
  });
}

/** A reason in a message for people. */
export function reasonText({ kind, message }: Reason): string {
  return message === "" ? kind : `${kind}: ${message}`;
}

/** The error of an operation that needs a port which has ended. */
export function portDied(tried: string, reason: Reason): TandemError {
  const error = new TandemError(
    "PORT_DIED",
    `Cannot ${tried}: the port has ended (${reasonText(reason)})`,
  );
  error.reason = reason;
  return error;
}
