/**
 * Functions in messages: see {@linkcode proxy}.
 *
 * @module
 */
import type { AddedFunction } from "../codec/encoder.ts";
import type { CallContext } from "./context.ts";
import { InCallback } from "./in_callback.ts";
import type { Lent } from "./lent.ts";
import { OutCallback } from "./out_callback.ts";

/**
 * Lends a function with a message.
 *
 * @param lend adds a value to the message, and returns its number there
 * @returns a text: why the function cannot be sent
 */
export function addFunction(
  value: object,
  call: CallContext | undefined,
  lend: (lent: Lent) => number,
): AddedFunction | string {
  const callback = OutCallback.from(value, call);
  if (typeof callback === "string") return callback;
  const { isKept, key } = callback;
  return { index: lend(callback), isKept, key, origin: InCallback.of(value)?.key ?? null };
}
