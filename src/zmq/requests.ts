/**
 * Messages of clients as requests: the frames up to the first empty one say where the answer goes, the payload follows.
 *
 * @module
 */
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
  /** The length of the payload at the front of the buffer. */
  readonly length: number;
  readonly fault: Fault | null;
}

const delimiter: Bytes = new Uint8Array(0);
const plainEnvelope: Envelope = [delimiter];

export class Requests {
  readonly #socket: ZmqSocket;
  readonly #connections: Connections;
  readonly #hasIds: boolean;
  readonly #bytesMax: number;
  /** The payload of the last request, with room for a note behind it. */
  readonly buffer: Bytes;
  readonly #capacity: bigint;
  readonly #label: Bytes = new Uint8Array(labelBytesMax + 1);
  readonly #labelCapacity: bigint = BigInt(this.#label.byteLength);

  constructor(
    socket: ZmqSocket,
    connections: Connections,
    hasIds: boolean,
    bytesMax: number,
    room: number,
  ) {
    this.#socket = socket;
    this.#connections = connections;
    this.#hasIds = hasIds;
    this.#bytesMax = bytesMax;
    this.buffer = new Uint8Array(bytesMax + room);
    this.#capacity = BigInt(bytesMax);
  }

  /** Receives a message. Null: there is none. */
  receive(): Arrival | null {
    const connection = this.#connections.receive(this.#socket.address);
    if (!connection) return null;
    const envelope = this.#receiveEnvelope();
    if (envelope === null) return this.#faulty(connection, plainEnvelope, null, "malformed");
    if (!this.#socket.hasMore) return this.#faulty(connection, envelope, null, "malformed");
    let id: Bytes | null = null;
    if (this.#hasIds) {
      const length = this.#socket.receive(this.#label, this.#labelCapacity);
      if (length > labelBytesMax) return this.#faulty(connection, envelope, null, "id too long");
      id = this.#label.slice(0, length);
      if (!this.#socket.hasMore) return this.#faulty(connection, envelope, id, "no payload");
    }
    const length = this.#socket.receive(this.buffer, this.#capacity);
    if (this.#socket.hasMore) return this.#faulty(connection, envelope, id, "several frames");
    const fault = length > this.#bytesMax ? "too long" : null;
    return { connection, envelope, id, length, fault };
  }

  /** Null: there is no empty frame where one has to be. */
  #receiveEnvelope(): Envelope | null {
    const first = this.#connections.firstBytes;
    if (first === 0) return plainEnvelope;
    if (first > labelBytesMax) return null;
    const labels: Bytes[] = [this.#connections.copyFirst()];
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
    return { connection, envelope, id, length: 0, fault };
  }
}
