/**
 * Many messages with one native call: a message has several frames, each frame takes several functions of libzmq, and
 * calls of functions cost most of the time of a door.
 *
 * @module
 */
import {
  ZmqBatch,
  zmqBatchBytes,
  zmqBatchMax,
  zmqIsPlaced,
  ZmqKind,
  ZmqRecord,
  zmqRecordBytes,
} from "../ffi/layout.ts";
import { nativeBatches } from "../ffi/load.ts";
import type { NativeBatches } from "../ffi/symbols.ts";
import { addressesOf, type LibZmq, libzmq, messageBytes } from "./libzmq.ts";
import { contentOf } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The functions, in the order of the batch's addresses. */
const functions = [
  "zmq_msg_recv",
  "zmq_msg_size",
  "zmq_msg_gets",
  "zmq_recv",
  "zmq_send",
  "zmq_getsockopt",
  "zmq_errno",
] as const;

/** Memory for payloads besides the one of the longest message. */
const spareBytes = 2 ** 18;
/** Messages on their way out, together with two lengths for each. */
const outBytes = 2 ** 16;
const lengthsBytes = 8;
const recordWords = zmqRecordBytes / Uint32Array.BYTES_PER_ELEMENT;
const recordDoubles = zmqRecordBytes / Float64Array.BYTES_PER_ELEMENT;

/** Up to this length, a loop copies faster than `set`. */
export const loopBytesMax = 64;

/** What became of messages. */
export interface SentCounts {
  readonly sent: number;
  readonly full: number;
  readonly unreachable: number;
}

export class Batch {
  readonly #zmq: LibZmq = libzmq();
  readonly #native: NativeBatches = nativeBatches();
  readonly #socket: number;
  readonly #block: Bytes = new Uint8Array(zmqBatchBytes);
  readonly #words: Uint32Array = new Uint32Array(this.#block.buffer);
  readonly #doubles: Float64Array = new Float64Array(this.#block.buffer);
  readonly #messages: readonly Bytes[];
  /** Where payloads are. Behind each one, there is room. */
  readonly bytes: Bytes;
  #received = 0;
  readonly #out: Bytes = new Uint8Array(outBytes);
  readonly #outWords: Uint32Array = new Uint32Array(this.#out.buffer);
  #outUsed = 0;

  /**
   * @param payloadMax the longest payload that is read as a whole
   * @param room so many bytes behind each payload are free
   * @param takesPlain false: all messages are odd
   */
  constructor(socket: bigint, payloadMax: number, room: number, takesPlain: boolean) {
    this.#socket = Number(socket);
    this.bytes = new Uint8Array(payloadMax + room + spareBytes);
    const addresses = new BigUint64Array(this.#block.buffer);
    addresses.set(addressesOf(functions), ZmqBatch.msgRecv);
    this.#words[ZmqBatch.payloadMax] = takesPlain ? payloadMax : 0;
    this.#words[ZmqBatch.room] = room;
    this.#messages = Array.from({ length: 2 * zmqBatchMax }, (_, index) => {
      const at = (ZmqBatch.messages + index) * messageBytes;
      const message = this.#block.subarray(at, at + messageBytes);
      this.#zmq.zmq_msg_init(message);
      return message;
    });
  }

  /** Receives messages, which replace those before. Returns how many there were. An odd one is the last. */
  receive(): number {
    const { bytes } = this;
    return this.#received = this.#native.tandem_zmq_receive(
      this.#socket,
      this.#block,
      bytes,
      bytes.byteLength,
    );
  }

  /** How many messages were received together. */
  get received(): number {
    return this.#received;
  }

  /** The address of what all messages of the connection have in common. */
  objectOf(index: number): number {
    return this.#doubles[index * recordDoubles + ZmqRecord.object]!;
  }

  /** Where the payload begins in {@linkcode bytes}. */
  offsetOf(index: number): number {
    return this.#words[index * recordWords + ZmqRecord.offset]!;
  }

  /** The payload's length, which may be greater than the longest one that is read. */
  lengthOf(index: number): number {
    return this.#words[index * recordWords + ZmqRecord.length]!;
  }

  /** An odd message: the frames behind the first one are still in the socket. */
  isOdd(index: number): boolean {
    return this.#words[index * recordWords + ZmqRecord.kind] === ZmqKind.odd;
  }

  /** An empty frame, then one with the payload. */
  isPlain(index: number): boolean {
    return this.#words[index * recordWords + ZmqRecord.kind] === ZmqKind.plain;
  }

  hasSeveral(index: number): boolean {
    return this.#words[index * recordWords + ZmqRecord.kind] === ZmqKind.several;
  }

  /** The frame with the routing id. */
  idOf(index: number): Bytes {
    return this.#messages[2 * index]!;
  }

  /** What the frame with the routing id has. */
  copyId(index: number): Bytes {
    return contentOf(this.#zmq, this.idOf(index));
  }

  /** The frame behind it. */
  firstOf(index: number): Bytes {
    return this.#messages[2 * index + 1]!;
  }

  /** A copy of the frame behind the routing id, which is dropped; null: it is longer than that. */
  takeFirst(index: number, bytesMax: number): Bytes | null {
    const message = this.firstOf(index);
    const isShort = this.#zmq.zmq_msg_size(message) <= BigInt(bytesMax);
    const bytes = isShort ? contentOf(this.#zmq, message) : null;
    // Many long ones would take much memory until others take their places.
    this.#zmq.zmq_msg_close(message);
    this.#zmq.zmq_msg_init(message);
    return bytes;
  }

  /** Adds a message of a routing id, an empty frame and a payload to those on their way out. False: there is no room. */
  add(identity: Uint8Array, payload: Uint8Array): boolean {
    const [idLength, length] = [identity.byteLength, payload.byteLength];
    const idAt = this.#outUsed + lengthsBytes;
    const payloadAt = idAt + filledUp(idLength);
    const end = payloadAt + filledUp(length);
    if (end > outBytes) return false;
    const words = this.#outUsed >> 2;
    this.#outWords[words] = idLength;
    this.#outWords[words + 1] = length;
    const out = this.#out;
    for (let index = 0; index < idLength; index++) out[idAt + index] = identity[index]!;
    if (length > loopBytesMax) out.set(payload, payloadAt);
    else for (let index = 0; index < length; index++) out[payloadAt + index] = payload[index]!;
    this.#outUsed = end;
    return true;
  }

  /** As {@linkcode add}; the payload lies in what {@linkcode flush} gets. */
  addPlaced(identity: Uint8Array, offset: number, length: number): boolean {
    const idLength = identity.byteLength;
    const idAt = this.#outUsed + lengthsBytes;
    const offsetAt = idAt + filledUp(idLength);
    const end = offsetAt + Uint32Array.BYTES_PER_ELEMENT;
    if (end > outBytes) return false;
    const words = this.#outUsed >> 2;
    this.#outWords[words] = idLength | zmqIsPlaced;
    this.#outWords[words + 1] = length;
    for (let index = 0; index < idLength; index++) this.#out[idAt + index] = identity[index]!;
    this.#outWords[offsetAt >> 2] = offset;
    this.#outUsed = end;
    return true;
  }

  /**
   * Sends the messages that were added. Null: there was none.
   *
   * @param placed where payloads are that were not copied
   */
  flush(placed: Bytes): SentCounts | null {
    if (this.#outUsed === 0) return null;
    this.#native.tandem_zmq_send(
      this.#socket,
      this.#block,
      this.#out,
      this.#outUsed,
      placed,
      placed.byteLength,
    );
    this.#outUsed = 0;
    return {
      sent: this.#words[ZmqBatch.sent]!,
      full: this.#words[ZmqBatch.full]!,
      unreachable: this.#words[ZmqBatch.unreachableCount]!,
    };
  }

  close(): void {
    for (const message of this.#messages) this.#zmq.zmq_msg_close(message);
  }
}

/** To the next multiple of four. */
function filledUp(length: number): number {
  return (length + 3) & ~3;
}
