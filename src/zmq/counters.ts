/**
 * The numbers of a door, in memory that its Worker writes and its owner reads.
 *
 * @module
 */

/** Numbers about a door since it was opened. */
export interface ZmqDoorStats {
  /** Requests that were understood, with those that joined a call. */
  requests: number;
  /** Answers that were handed to libzmq, errors among them. */
  answers: number;
  /** Answers that were errors: `TANDEM-ERROR`, or nothing if `errors` is `"silent"`. */
  errors: number;
  /** Requests that asked again for a call in flight, and joined it. */
  joined: number;
  /** Requests that asked again for a call that had its answer already, and got it. */
  repeated: number;
  /** Requests that were refused because the channel was full, with the error `BUSY`. */
  busy: number;
  /** Messages that are no requests: they were dropped. */
  malformed: number;
  /** Requests that were refused: several payload frames, a payload that is too long, the identity of another key. */
  refused: number;
  /**
   * Requests that were dropped because their client had come back over another connection before they were read, or
   * because an answer may have reached them already.
   */
  overtaken: number;
  /** Answers whose client was gone. Those for a client that may come back are kept for it. */
  unreachable: number;
  /** Answers that were dropped because their client does not read. */
  overflowed: number;
  /** Calls in flight. */
  inFlight: number;
  /** Answers that are kept for clients that ask again. */
  remembered: number;
  /** Connections that are open. */
  connections: number;
  /** Connections that were accepted. */
  accepted: number;
  /** Connections that spoke no ZeroMQ, or had no key that is allowed. */
  handshakeFailures: number;
  /** Connections that ended before they had sent a message, such as those that announce one that is too long. */
  cut: number;
}

const names: readonly (keyof ZmqDoorStats)[] = [
  "requests",
  "answers",
  "errors",
  "joined",
  "repeated",
  "busy",
  "malformed",
  "refused",
  "overtaken",
  "unreachable",
  "overflowed",
  "inFlight",
  "remembered",
  "connections",
  "accepted",
  "handshakeFailures",
  "cut",
];

/** Memory for the numbers, all 0. */
export function countersMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(names.length * Float64Array.BYTES_PER_ELEMENT);
}

/** The numbers as they are now. */
export function readCounters(memory: SharedArrayBuffer): ZmqDoorStats {
  const numbers = new Float64Array(memory);
  const entries = names.map((name, index) => [name, numbers[index]!]);
  return Object.fromEntries(entries) as unknown as ZmqDoorStats;
}

const places: Readonly<Record<keyof ZmqDoorStats, number>> = Object.fromEntries(
  names.map((name, index) => [name, index]),
) as Record<keyof ZmqDoorStats, number>;

export class Counters {
  readonly #numbers: Float64Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer) {
    this.#numbers = new Float64Array(memory);
  }

  add(name: keyof ZmqDoorStats, difference: number = 1): void {
    this.#numbers[places[name]]! += difference;
  }

  set(name: keyof ZmqDoorStats, value: number): void {
    this.#numbers[places[name]] = value;
  }
}
