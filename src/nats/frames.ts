/**
 * What precedes the messages of typed calls on their way through NATS: see docs/internals/nats.md. Numbers are
 * little-endian.
 *
 * @module
 */
import type { Peer } from "../base/peer.ts";
import type { ErrorCode } from "../errors.ts";
import type { Bytes } from "../transport/transport.ts";

/** No text, JSON or CBOR begins so. */
const magic = [0xff, 0x54] as const;
const version = 1;

export const Frame = {
  request: 1,
  answer: 2,
  /** The request was not taken: ask again. */
  busy: 3,
  /** The request has ended without an answer of the typed layer. */
  failed: 4,
  /** Calls on which the service still works. */
  working: 5,
  /** The sender of calls no longer waits for them. */
  cancel: 6,
  /** Asks for the services of a target. */
  who: 7,
  /** A service of the target. */
  here: 8,
  /** The request belongs into the queue of the target. */
  queue: 9,
  /** A value of a topic. */
  value: 10,
} as const;

export const requestBytes = 24;
export const frameBytes = 8;

/** Stands for the absence of a time limit. */
const noLimit = 0xffff_ffff;

const runtimes = ["unknown", "deno", "bun", "node"] as const;

function begin(kind: number, byteLength: number): Bytes {
  const frame = new Uint8Array(byteLength);
  frame[0] = magic[0];
  frame[1] = magic[1];
  frame[2] = kind;
  frame[3] = version;
  return frame;
}

function viewOf({ buffer, byteOffset, byteLength }: Bytes): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** The kind of a frame; 0: these bytes are none of this package. */
export function frameKind(bytes: Uint8Array): number {
  const isFrame = bytes.length >= frameBytes && bytes[0] === magic[0] && bytes[1] === magic[1] &&
    bytes[3] === version;
  return isFrame ? bytes[2]! : 0;
}

/** The header of a request, with room for a message of that length behind it. */
export function beginRequest(messageBytes: number, { pid, uid, runtime }: Peer): Bytes {
  const frame = begin(Frame.request, requestBytes + messageBytes);
  const view = viewOf(frame);
  view.setUint32(8, pid, true);
  view.setInt32(12, uid, true);
  frame[16] = Math.max(0, runtimes.indexOf(runtime));
  return frame;
}

/** Sets the time that the sender goes on to wait. */
export function setTimeLeft(frame: Bytes, milliseconds: number): void {
  const left = milliseconds < noLimit ? Math.max(0, Math.ceil(milliseconds)) : noLimit;
  frame[4] = left;
  frame[5] = left >>> 8;
  frame[6] = left >>> 16;
  frame[7] = left >>> 24;
}

export function timeLeft(frame: Bytes): number {
  const left = (frame[4]! | frame[5]! << 8 | frame[6]! << 16 | frame[7]! << 24) >>> 0;
  return left === noLimit ? Infinity : left;
}

/** Where a request, or a service, says how many services may get a call, one after another. */
const deliveriesAt = 17;

/** Sets how many services may get the request, one after another; 0: as many as the target allows. */
export function setAllowedDeliveries(frame: Bytes, count: number): void {
  frame[deliveriesAt] = count;
}

/** Where a request says that it may be the second of its kind. */
const sentAgainAt = 18;

/** Notes that the request was sent before, and that nobody knows whether it was taken. */
export function setSentAgain(frame: Bytes): void {
  frame[sentAgainAt] = 1;
}

export function isSentAgain(frame: Bytes): boolean {
  return frame[sentAgainAt] === 1;
}

export function allowedDeliveries(frame: Bytes): number {
  return frame[deliveriesAt]!;
}

/** @param maxDeliveries how many services may get a call of the target, one after another */
export function queueFrame(maxDeliveries: number): Bytes {
  const frame = begin(Frame.queue, frameBytes);
  frame[4] = maxDeliveries;
  return frame;
}

export function readQueue(frame: Bytes): number {
  return frame[4]!;
}

export function readPeer(frame: Bytes, at = 8): Peer {
  const view = viewOf(frame);
  return Object.freeze({
    pid: view.getUint32(at, true),
    uid: view.getInt32(at + 4, true),
    runtime: runtimes[frame[at + 8]!] ?? "unknown",
  });
}

/** An answer, with room for a message of that length behind its header. */
export function beginAnswer(messageBytes: number): Bytes {
  return begin(Frame.answer, frameBytes + messageBytes);
}

export function valueFrame(message: Bytes): Bytes {
  const frame = begin(Frame.value, frameBytes + message.byteLength);
  frame.set(message, frameBytes);
  return frame;
}

export function busyFrame(): Bytes {
  return begin(Frame.busy, frameBytes);
}

/** @param isThrown the handler threw an error of that name; `code` is not used then */
export function failedFrame(code: ErrorCode, message: string, isThrown = false): Bytes {
  // Long texts say no more.
  const text = new TextEncoder().encode(`${code} ${message.slice(0, 4_096)}`);
  const frame = begin(Frame.failed, frameBytes + text.byteLength);
  frame[4] = isThrown ? 1 : 0;
  frame.set(text, frameBytes);
  return frame;
}

export function readFailed(frame: Bytes): { code: string; message: string; isThrown: boolean } {
  const text = new TextDecoder().decode(frame.subarray(frameBytes));
  const [code = "", message = ""] = text.split(/ (.*)/s);
  return { code, message, isThrown: frame[4] === 1 };
}

function writeNumbers(kind: number, numbers: readonly number[], rest: Bytes): Bytes {
  const frame = begin(kind, frameBytes + 8 * numbers.length + rest.byteLength);
  const view = viewOf(frame);
  view.setUint32(4, numbers.length, true);
  numbers.forEach((number, index) => {
    view.setUint32(frameBytes + 8 * index, number, true);
    view.setUint32(frameBytes + 8 * index + 4, number / 2 ** 32, true);
  });
  frame.set(rest, frameBytes + 8 * numbers.length);
  return frame;
}

function readNumbers(frame: Bytes): number[] {
  const view = viewOf(frame);
  const count = Math.min(view.getUint32(4, true), (frame.byteLength - frameBytes) >>> 3);
  return Array.from({ length: count }, (_, index) => {
    const at = frameBytes + 8 * index;
    return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  });
}

/** @param calls the numbers of the caller's calls on which the service works */
export function workingFrame(calls: readonly number[]): Bytes {
  return writeNumbers(Frame.working, calls, new Uint8Array());
}

export function readWorking(frame: Bytes): number[] {
  return readNumbers(frame);
}

/** @param calls none: all calls of that caller */
export function cancelFrame(caller: string, calls: readonly number[]): Bytes {
  return writeNumbers(Frame.cancel, calls, new TextEncoder().encode(caller));
}

export function readCancel(frame: Bytes): { caller: string; calls: number[] } {
  const calls = readNumbers(frame);
  const caller = new TextDecoder().decode(frame.subarray(frameBytes + 8 * calls.length));
  return { caller, calls };
}

export function whoFrame(): Bytes {
  return begin(Frame.who, frameBytes);
}

export interface Here {
  readonly peer: Peer;
  readonly calls: number;
  readonly privatePath: string;
  /** More than 1: the target has a queue. */
  readonly maxDeliveries: number;
}

export function hereFrame(
  { peer: { pid, uid, runtime }, calls, privatePath, maxDeliveries }: Here,
): Bytes {
  const name = new TextEncoder().encode(privatePath);
  const frame = begin(Frame.here, frameBytes + 16 + name.byteLength);
  const view = viewOf(frame);
  view.setUint32(4, calls, true);
  view.setUint32(8, pid, true);
  view.setInt32(12, uid, true);
  frame[16] = Math.max(0, runtimes.indexOf(runtime));
  frame[deliveriesAt] = maxDeliveries;
  frame.set(name, frameBytes + 16);
  return frame;
}

/** Null: it is damaged. */
export function readHere(frame: Bytes): Here | null {
  if (frame.byteLength < frameBytes + 16) return null;
  const privatePath = new TextDecoder().decode(frame.subarray(frameBytes + 16));
  return {
    peer: readPeer(frame),
    calls: viewOf(frame).getUint32(4, true),
    privatePath,
    maxDeliveries: frame[deliveriesAt]!,
  };
}
