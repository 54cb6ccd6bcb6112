/**
 * Messages between nodes as text, for traces and for people: JSON, one line.
 *
 * ```
 * ["send","q8d02hzz.17",["resize",{"$bytes":"AAEC"},128]]
 * ["call",7,"q8d02hzz.17","get",[],[],1000]
 * ["answer",7,5]
 * ```
 *
 * The items are those of the frame, with the kind as a word. What JSON does not have is an object with one key
 * that begins with `$`: docs/internals/node-frames.md lists them.
 *
 * @module
 */
import { textOf } from "../base/guard.ts";
import type { Bytes } from "../codec/writer.ts";
import { FrameDecoder, FrameLimits, Kind } from "./frames.ts";

const limits = new FrameLimits(2 ** 30);
const kindNames: ReadonlyMap<number, string> = new Map(
  Object.entries(Kind).map(([name, kind]) => [kind, name]),
);
const depthMax = 20;

/** A message in text. Never throws. */
export function frameText(bytes: Bytes): string {
  const decoder = new FrameDecoder();
  try {
    const kind = decoder.open(limits, bytes, 0, bytes.byteLength);
    const items: unknown[] = [];
    while (items.length < decoder.items - 1) items.push(decoder.value());
    return JSON.stringify([kindNames.get(kind) ?? kind, ...plainValue(items) as unknown[]]);
  } catch (error) {
    return JSON.stringify(["unreadable", textOf(error)]);
  } finally {
    decoder.close();
  }
}

/** A value as JSON can have it. Anything that nobody can look at throws. */
export function plainValue(value: unknown): unknown {
  return plain(value, [], 0);
}

function plain(value: unknown, above: readonly object[], depth: number): unknown {
  switch (typeof value) {
    case "undefined":
      return { $undefined: true };
    case "bigint":
      return { $bigint: `${value}` };
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { $number: Object.is(value, -0) ? "-0" : `${value}` };
    case "object":
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (depth > depthMax || above.includes(value)) return { $ref: true };
  const inside = [...above, value];
  const each = (item: unknown) => plain(item, inside, depth + 1);
  if (Array.isArray(value)) return Array.from(value, each);
  if (value instanceof Date) {
    return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() };
  }
  if (value instanceof Map) return { $map: [...value].map(each) };
  if (value instanceof Set) return { $set: [...value].map(each) };
  if (value instanceof RegExp) return { $regexp: `${value}` };
  if (value instanceof Error) {
    return { $error: { name: value.name, message: value.message, ...properties(value, each) } };
  }
  const bytes = bytesOf(value);
  if (bytes) return { $bytes: base64(bytes) };
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return properties(value, each);
  return { $other: Object.prototype.toString.call(value).slice(8, -1) };
}

function properties(value: object, each: (item: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, each(item)]));
}

function bytesOf(value: object): Uint8Array | null {
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  const isBuffer = value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
  return isBuffer ? new Uint8Array(value) : null;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
