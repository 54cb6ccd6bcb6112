/**
 * Which call has ended with which error, for code of this package that knows more about the call.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { idOf } from "./channel.ts";
import type { CallRef } from "./waiter.ts";

const endedCalls: WeakMap<object, CallRef> = new WeakMap();

/** Notes that a call has ended with an error. */
export function noteEnd(error: unknown, call: CallRef): void {
  if (error instanceof TandemError) endedCalls.set(error, call);
}

/** The id of the call that has ended with an error, if the error came from a channel. */
export function endedCall(error: object): bigint | undefined {
  const call = endedCalls.get(error);
  return call && idOf(call.slot, call.low, call.high);
}
