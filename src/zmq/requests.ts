/**
 * Messages of clients as requests: the frames up to the first empty one say where the answer goes, the payload follows.
 *
 * @module
 */
import { type Batch, loopBytesMax } from "./batch.ts";
import type { Connection, Connections } from "./connections.ts";
import type { Envelope } from "./desk.ts";
import type { ZmqSocket } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The most frames before the empty one: `REQ` with `CORRELATE` has one, each device on the way adds another. */
const envelopeFramesMax = 32;
/** The longest frame before the empty one, and the longest id. */
const labelBytesMax = 255;

/** What is wrong with a message. */
export type Fault = "malformed" | "several frames" | "no payload" | "too long" | "id too long";

/** A message, until the next one is received. */
export interface Arrival {
  readonly connection: Connection;
  /** Up to the empty frame, with it. */
  readonly envelope: Envelope;
  /** Null: requests have none. */
  readonly id: Bytes | null;
  /** Begins with the payload. There is room for a note behind it. */
  readonly bytes: Bytes;
  /** The length of the payload. */
  readonly length: number;
  readonly fault: Fault | null;
}

const delimiter: Bytes = new Uint8Array(0);
/** The one of most messages. */
export const plainEnvelope: Envelope = [delimiter];

/** Up to this length, a payload is copied, because native functions know the array to which it is copied. */
const copiedBytesMax = 4_096;

export class Requests {
  readonly #socket: ZmqSocket;
  readonly #batch: Batch;
  readonly #connections: Connections;
  readonly #hasIds: boolean;
  readonly #bytesMax: number;
  readonly #room: number;
  /** The payload of a short request, with room for a note behind it. */
  readonly #short: Bytes;
  readonly #capacity: bigint;
  readonly #label: Bytes = new Uint8Array(labelBytesMax + 1);
  readonly #labelCapacity: bigint = BigInt(this.#label.byteLength);
  /** Those of the messages in the batch. */
  readonly #senders: (Connection | undefined)[] = [];
  #next = 0;

  /** @param room so many bytes are free behind each payload */
  constructor(
    socket: ZmqSocket,
    batch: Batch,
    connections: Connections,
    hasIds: boolean,
    bytesMax: number,
    room: number,
  ) {
    this.#socket = socket;
    this.#batch = batch;
    this.#connections = connections;
    this.#hasIds = hasIds;
    this.#bytesMax = bytesMax;
    this.#room = room;
    this.#short = new Uint8Array(copiedBytesMax + room);
    this.#capacity = BigInt(bytesMax);
  }

  /** Whether libzmq has handed over messages that {@linkcode receive} has not returned yet. */
  get hasReceived(): boolean {
    return this.#next < this.#batch.received;
  }

  /** The routing id of the last message: another one than its connection's, if the connection has lost that. */
  get routingId(): Bytes {
    return this.#batch.copyId(this.#next - 1);
  }

  /** Lets libzmq hand over messages, which take the memory of those before. False: there are none. */
  refill(): boolean {
    this.#next = 0;
    const count = this.#batch.receive();
    // A connection that was not heard before makes the door hear which ones have ended, and forget them.
    for (let index = 0; index < count; index++) {
      this.#senders[index] = this.#connections.known(this.#batch.objectOf(index));
    }
    for (let index = 0; index < count; index++) this.#senders[index] ??= this.#meet(index);
    return count > 0;
  }

  /**
   * The connection of the next message that was handed over, if that is a plain one with nothing wrong: {@linkcode takePlain}
   * takes it. Otherwise {@linkcode receive} does.
   */
  get plainSender(): Connection | null {
    const batch = this.#batch;
    const index = this.#next;
    const isPlain = batch.isPlain(index) && batch.lengthOf(index) <= this.#bytesMax;
    return isPlain ? this.#senders[index]! : null;
  }

  /** The length of the next message that was handed over. */
  get nextLength(): number {
    return this.#batch.lengthOf(this.#next);
  }

  /** Takes the next message, a plain one. Returns where the payload begins in the batch's memory, with room behind it. */
  takePlain(): number {
    const index = this.#next++;
    const connection = this.#senders[index]!;
    if (!connection.isHeard) this.#connections.hear(connection);
    return this.#batch.offsetOf(index);
  }

  /** The length of the message that was taken last. */
  get takenLength(): number {
    return this.#batch.lengthOf(this.#next - 1);
  }

  /** Receives a message. Null: there is none. */
  receive(): Arrival | null {
    const batch = this.#batch;
    if (this.#next >= batch.received && !this.refill()) return null;
    const index = this.#next++;
    const connection = this.#senders[index]!;
    if (!connection.isHeard) this.#connections.hear(connection);
    if (batch.isOdd(index)) return this.#receiveOdd(connection, index);
    const length = batch.lengthOf(index);
    const offset = batch.offsetOf(index);
    const fault = batch.hasSeveral(index)
      ? "several frames"
      : length > this.#bytesMax
      ? "too long"
      : null;
    const bytes = this.#bytesAt(offset, fault ? 0 : length);
    return { connection, envelope: plainEnvelope, id: null, bytes, length, fault };
  }

  #meet(index: number): Connection {
    const batch = this.#batch;
    return this.#connections.meet(batch.objectOf(index), batch.idOf(index), batch.firstOf(index));
  }

  #bytesAt(offset: number, length: number): Bytes {
    const { bytes } = this.#batch;
    const short = this.#short;
    if (length > copiedBytesMax) return bytes.subarray(offset, offset + length + this.#room);
    if (length > loopBytesMax) short.set(bytes.subarray(offset, offset + length));
    else for (let at = 0; at < length; at++) short[at] = bytes[offset + at]!;
    return short;
  }

  #receiveOdd(connection: Connection, index: number): Arrival {
    const envelope = this.#receiveEnvelope(index);
    if (envelope === null) return this.#faulty(connection, plainEnvelope, null, "malformed");
    if (!this.#socket.hasMore) return this.#faulty(connection, envelope, null, "malformed");
    let id: Bytes | null = null;
    if (this.#hasIds) {
      const length = this.#socket.receive(this.#label, this.#labelCapacity);
      if (length > labelBytesMax) return this.#faulty(connection, envelope, null, "id too long");
      id = this.#label.slice(0, length);
      if (!this.#socket.hasMore) return this.#faulty(connection, envelope, id, "no payload");
    }
    // The message is the last of its batch, so the memory is free.
    const { bytes } = this.#batch;
    const length = this.#socket.receive(bytes, this.#capacity);
    if (this.#socket.hasMore) return this.#faulty(connection, envelope, id, "several frames");
    const fault = length > this.#bytesMax ? "too long" : null;
    return { connection, envelope, id, bytes, length, fault };
  }

  /** Null: there is no empty frame where one has to be. */
  #receiveEnvelope(index: number): Envelope | null {
    const first = this.#batch.takeFirst(index, labelBytesMax);
    if (first === null) return null;
    if (first.byteLength === 0) return plainEnvelope;
    const labels: Bytes[] = [first];
    while (labels.length <= envelopeFramesMax && this.#socket.hasMore) {
      const length = this.#socket.receive(this.#label, this.#labelCapacity);
      if (length === 0) return [...labels, delimiter];
      if (length < 0 || length > labelBytesMax) return null;
      labels.push(this.#label.slice(0, length));
    }
    return null;
  }

  #faulty(
    connection: Connection,
    envelope: Envelope,
    id: Bytes | null,
    fault: Fault,
  ): Arrival {
    // libzmq hands over messages whole, so all frames are there.
    while (this.#socket.hasMore) {
      if (this.#socket.receive(this.#label, this.#labelCapacity) < 0) break;
    }
    return { connection, envelope, id, bytes: this.#short, length: 0, fault };
  }
}
