/**
 * Errors of handlers on their way to the client. They are cut to fit, never lost.
 *
 * @module
 */
import { isErrorLike } from "../base/brands.ts";
import { RemoteError, type RemoteErrorDetails } from "../errors.ts";

const encoder = new TextEncoder();

interface Wire {
  name: string;
  message: string;
  stack?: string;
  properties?: Record<string, unknown>;
  /** An error, or anything else that JSON can carry. */
  cause?: { error: Wire } | { value: unknown };
}

/** How many causes of causes are sent; an error may be its own cause. */
const depthMax = 8;

/** The error as bytes, `limit` of them at most. */
export function encodeError(error: unknown, limit: number): Uint8Array {
  const wire = toWire(error);
  const complete = tryEncode(wire, limit);
  if (complete) return complete;
  // The least useful parts go first: properties, causes, the end of the stack, the end of the message.
  delete wire.properties;
  delete wire.cause;
  const stack = wire.stack ?? "";
  for (let length = stack.length >> 1; length > 64; length >>= 1) {
    wire.stack = stack.slice(0, length) + "…";
    const cut = tryEncode(wire, limit);
    if (cut) return cut;
  }
  delete wire.stack;
  const { message } = wire;
  for (const name of [wire.name.slice(0, 64), "Error"]) {
    wire.name = name;
    for (let length = message.length; length > 0; length >>= 1) {
      wire.message = length < message.length ? message.slice(0, length) + "…" : message;
      const cut = tryEncode(wire, limit);
      if (cut) return cut;
    }
  }
  return encoder.encode('{"name":"Error"}');
}

function tryEncode(wire: Wire, limit: number): Uint8Array | null {
  const bytes = encoder.encode(JSON.stringify(wire));
  return bytes.byteLength <= limit ? bytes : null;
}

function toWire(error: unknown, depth = 0): Wire {
  if (!isErrorLike(error)) return { name: "Error", message: safeText(error) };
  const read = (name: "name" | "message" | "stack" | "cause"): unknown =>
    attempt(() => error[name]);
  const wire: Wire = { name: safeText(read("name")), message: safeText(read("message")) };
  const stack = read("stack");
  if (typeof stack === "string") wire.stack = stack;
  const properties = ownProperties(error);
  if (Object.keys(properties).length > 0) wire.properties = properties;
  const cause = read("cause");
  if (cause !== undefined && depth < depthMax) wire.cause = causeToWire(cause, depth);
  return wire;
}

function causeToWire(cause: unknown, depth: number): Wire["cause"] & object {
  if (isErrorLike(cause)) return { error: toWire(cause, depth + 1) };
  const value = throughJSON(cause);
  return { value: value === undefined ? safeText(cause) : value };
}

/** An error's own properties, without the ones that JSON cannot carry. */
function ownProperties(error: Error): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const name of attempt(() => Object.keys(error)) ?? []) {
    if (name === "name" || name === "message" || name === "stack" || name === "cause") continue;
    const value = throughJSON(attempt(() => (error as unknown as Record<string, unknown>)[name]));
    if (value !== undefined) properties[name] = value;
  }
  return properties;
}

/** A copy; undefined where JSON cannot carry the value, such as a cycle or a bigint. */
function throughJSON(value: unknown): unknown {
  return attempt(() => {
    const text = JSON.stringify(value);
    return text === undefined ? undefined : JSON.parse(text);
  });
}

/** A thrown value may be anything, also an object with getters that throw. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function safeText(value: unknown): string {
  return attempt(() => String(value)) ?? "an error that has no text";
}

/**
 * The error that was sent. The bytes come from another process and may be anything. Give a copy: no other
 * process may change them while they are read.
 */
export function decodeError(bytes: Uint8Array): RemoteError {
  return new RemoteError(fromWire(parse(new TextDecoder().decode(bytes)), 0));
}

function fromWire(wire: Record<string, unknown>, depth: number): RemoteErrorDetails {
  const text = (value: unknown, otherwise: string) => typeof value === "string" ? value : otherwise;
  return {
    name: text(wire["name"], "Error"),
    message: text(wire["message"], "an error that could not be read"),
    stack: text(wire["stack"], ""),
    properties: isRecord(wire["properties"]) ? wire["properties"] : {},
    cause: causeFromWire(wire["cause"], depth),
  };
}

function causeFromWire(cause: unknown, depth: number): unknown {
  if (!isRecord(cause) || depth > depthMax) return undefined;
  const { error, value } = cause;
  return isRecord(error) ? new RemoteError(fromWire(error, depth + 1)) : value;
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
