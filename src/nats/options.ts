/**
 * The checks of `options.nats`. The NATS client would find these mistakes at its first attempt to connect, where they
 * look like a server that is out of reach.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import { timerMax } from "../runtime/timers.ts";
import { isPrefix } from "./target.ts";

const texts = ["user", "pass", "token", "name", "inboxPrefix"] as const;
/** What of a connection this package calls. */
const connectionMethods = ["publish", "subscribe", "flush", "closed", "isClosed", "status"];

/** @throws {TypeError} {RangeError} */
export function checkNatsOptions(options: unknown): asserts options is NatsOptions {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`Cannot use ${shownType(options)} as nats: give an object`);
  }
  const { connection, authenticator, tls, timeout, inboxPrefix } = options as NatsOptions;
  for (const name of texts) {
    const value = (options as NatsOptions)[name];
    if (value !== undefined && typeof value !== "string") throw refused(value, name, "give a text");
  }
  if (inboxPrefix !== undefined && !isPrefix(inboxPrefix)) {
    throw refused(
      inboxPrefix,
      "inboxPrefix",
      "give letters, digits, hyphens and underscores, in parts between dots",
    );
  }
  if (connection !== undefined && !isConnection(connection)) {
    throw refused(
      connection,
      "connection",
      "give what connect() of @nats-io/transport-node has returned",
    );
  }
  if (
    authenticator !== undefined && [authenticator].flat().some((one) => typeof one !== "function")
  ) {
    throw refused(authenticator, "authenticator", "give a function, or a list of functions");
  }
  if (tls !== undefined && typeof tls !== "object") throw refused(tls, "tls", "give an object");
  if (timeout === undefined) return;
  if (typeof timeout !== "number") {
    throw refused(timeout, "timeout", "give milliseconds as a number");
  }
  if (timeout > 0 && timeout <= timerMax) return;
  throw new RangeError(
    `Cannot use ${timeout} as nats.timeout: give milliseconds, more than 0, up to ${timerMax}`,
  );
}

/** A value in a message. A password or a seed may be in a text or a number. */
function shownType(value: unknown): string {
  return typeof value === "string" || typeof value === "number"
    ? `a ${typeof value}`
    : describe(value);
}

function isConnection(value: unknown): boolean {
  const methods = Object(value) as Record<string, unknown>;
  return connectionMethods.every((name) => typeof methods[name] === "function");
}

/** Texts without secrets. */
const harmless: ReadonlySet<string> = new Set(["inboxPrefix", "name"]);

/** Logins are no part of messages. */
function refused(value: unknown, name: string, advice: string): TypeError {
  const shown = harmless.has(name) ? describe(value) : shownType(value);
  return new TypeError(`Cannot use ${shown} as nats.${name}: ${advice}`);
}
