/**
 * Who a node is, as it tells others in the first message of each stream.
 *
 * @module
 */
import { Control } from "./batch.ts";

/** What a node says of itself. */
export interface Identity {
  readonly id: string;
  readonly name: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const idPattern = /^[A-Za-z0-9_.@:-]{1,128}$/;
const namePattern = /^[A-Za-z0-9_.-]{1,64}$/;

/** As the message of a stream. */
export function encodeIdentity({ id, name }: Identity): Uint8Array {
  return encoder.encode(`${String.fromCharCode(Control.hello)}${id}\n${name}`);
}

/** Null: it is none. */
export function decodeIdentity(message: Uint8Array): Identity | null {
  if (message.byteLength > 256) return null;
  try {
    const [id, name, ...rest] = decoder.decode(message.subarray(1)).split("\n");
    const isValid = rest.length === 0 && id !== undefined && name !== undefined &&
      idPattern.test(id) && namePattern.test(name);
    return isValid ? { id, name } : null;
  } catch {
    return null;
  }
}
