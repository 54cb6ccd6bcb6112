/**
 * Taking answers out of shared memory.
 *
 * @module
 */
import { type RemoteError, TandemError } from "../errors.ts";
import { AnswerKind, cancelRelease, Control, Status } from "../ffi/layout.ts";
import { type Channel, checkOpen } from "./channel.ts";
import { decodeError } from "./error_wire.ts";
import { callFailure } from "./failure.ts";
import type { AnswerReader, Bytes, CallRef } from "./waiter.ts";

/** The native side copies short answers here, in the same call that frees the slot. */
const scratch: Bytes = new Uint8Array(4096);

/**
 * Waits for an answer, copies it out and frees the slot.
 *
 * @param timeout milliseconds; NaN for ever; with 0 the result may be null: not answered yet
 * @param ownsCall no other code can get the answer: one that does not fit is discarded
 */
export function takeAnswer(
  channel: Channel,
  ref: CallRef,
  timeout: number,
  into: Bytes | undefined,
  ownsCall: boolean,
): Bytes | null {
  checkOpen(channel, "call");
  const { native, address, words } = channel;
  const target = into ?? scratch;
  const { slot, low, high } = ref;
  const length = target.byteLength;
  const status = native.tandem_get(address, slot, low, high, timeout, target, length, words);
  if (status >= 0) return answerIn(target, status, into !== undefined);
  return answerFailed(channel, ref, status, target, into !== undefined, ownsCall);
}

/** Gives `reader` an answer in shared memory, and frees the slot. */
export function readAnswer(
  channel: Channel,
  ref: CallRef,
  reader: AnswerReader,
): void {
  checkOpen(channel, "call");
  const { native, address, words } = channel;
  const { slot, low, high } = ref;
  const length = scratch.byteLength;
  const status = native.tandem_get(address, slot, low, high, 0, scratch, length, words);
  if (status >= 0) return reader.read(scratch.subarray(0, status), true);
  if (status !== -Status.longer || words[Control.flags] === AnswerKind.remoteError) {
    const answer = answerFailed(channel, ref, status, scratch, false, true);
    if (answer === null) throw callFailure(-Status.corrupt, "get an answer");
    return reader.read(answer, true);
  }
  try {
    reader.read(channel.memory.response(slot, words[Control.length]!), false);
  } finally {
    // The reader may close the handle.
    if (channel.isOpen) native.tandem_cancel(address, slot, low, high, cancelRelease);
  }
}

/**
 * The answer where the native side did not write it to `target`; null: not answered yet.
 *
 * @throws the failure of the call
 */
export function answerFailed(
  channel: Channel,
  ref: CallRef,
  status: number,
  target: Bytes,
  isInto: boolean,
  ownsCall: boolean,
): Bytes | null {
  const { native, address, words } = channel;
  if (status === -Status.notYet) return null;
  if (status === -Status.remote) {
    throw decodeError(target.subarray(0, words[Control.length]!));
  }
  if (status !== -Status.longer) throw callFailure(status, "get an answer");
  const length = words[Control.length]!;
  const { slot, low, high } = ref;
  if (isInto && words[Control.flags] !== AnswerKind.remoteError) {
    if (ownsCall) native.tandem_cancel(address, slot, low, high, cancelRelease);
    throw new TandemError(
      "TOO_LARGE",
      `Cannot get an answer of ${length} bytes into ${target.byteLength} bytes: ` +
        "give a longer array" + (ownsCall ? "" : "; the call stays open"),
    );
  }
  const bytes = new Uint8Array(length);
  const second = native.tandem_get(address, slot, low, high, 0, bytes, length, words);
  if (second >= 0) return bytes;
  if (second === -Status.remote) throw decodeError(bytes);
  throw callFailure(second, "get an answer");
}

/** The answer that the native side has written to the front of `target`. */
function answerIn(target: Bytes, length: number, isInto: boolean): Bytes {
  if (!isInto) return target.slice(0, length);
  return length === target.byteLength ? target : target.subarray(0, length);
}

/** @returns false: not answered yet; @throws the failure of the call */
export function checkReady(channel: Channel, ref: CallRef, timeout: number): boolean {
  checkOpen(channel, "call");
  const { native, address, words, memory } = channel;
  const { slot, low, high } = ref;
  const status = native.tandem_ready(address, slot, low, high, timeout, words);
  if (status >= 0) return true;
  if (status === -Status.notYet) return false;
  if (status === -Status.remote) throw errorInPlace(memory.response(slot, words[Control.length]!));
  throw callFailure(status, "wait for an answer");
}

function errorInPlace(bytes: Bytes): RemoteError {
  // A copy: other processes may change shared memory while it is read.
  return decodeError(bytes.slice());
}
