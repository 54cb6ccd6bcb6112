/**
 * The calls of a door's clients: which requests ask for the same call, and where answers go. Pure bookkeeping: it knows
 * neither sockets nor channels.
 *
 * @module
 */
import { isEqual } from "../base/bytes.ts";
import type { Connection } from "./connections.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The frames that a reply begins with, before the answer. */
export type Envelope = readonly Bytes[];

/** A call of a client. */
export interface OpenCall {
  /** The connection over which the client has asked last. */
  connection: Connection;
  envelope: Envelope;
  /** The frames of its answer, if it has one that was not delivered, or that is remembered. */
  answer: readonly Bytes[] | null;
  /** Asking again gives the answer, and does not run the call again. */
  isRemembered: boolean;
  /**
   * Connections up to this order that were not heard when the answer was sent may have got it, in place of the one to
   * which it was sent; -1: none has.
   */
  doubt: number;
  /** How requests find it; null: none can. */
  readonly family: string | null;
  /** Null: the id in `family` says it all. */
  readonly payload: Bytes | null;
  /** In the time of `performance.now()`; only once there is an answer. */
  expires: number;
}

/** Together, remembered answers take no more bytes; the oldest ones go first. */
const rememberedBytesMax = 64 * 2 ** 20;

/** How the desk remembers. */
export interface DeskTerms {
  readonly idFrame: boolean;
  /** In milliseconds. */
  readonly remember: number;
}

export class Desk {
  readonly #terms: DeskTerms;
  /** Open calls and remembered answers that requests can find. */
  readonly #families: Map<string, OpenCall[]> = new Map();
  /** The connection over which a client of each identity was last heard. */
  readonly #latest: Map<string, Connection> = new Map();
  /** Calls with an answer, the oldest first. */
  readonly #answered: Set<OpenCall> = new Set();
  #rememberedBytes = 0;
  /**
   * Answers for clients with a next connection, perhaps, that was not heard yet; by identity. If libzmq has given it the
   * identity already, they have gone there, and a second answer would be taken for that of the client's next call.
   */
  readonly #doubtful: Map<string, Set<OpenCall>> = new Map();

  constructor(terms: DeskTerms) {
    this.#terms = terms;
  }

  /** How many answers are remembered. */
  get remembered(): number {
    return this.#answered.size;
  }

  /** Whether there are open calls or remembered answers that requests can find. */
  get canBeAsked(): boolean {
    return this.#families.size > 0;
  }

  /** A request has come over the connection. */
  heard(connection: Connection): void {
    // The identities that libzmq makes are never used again. Nobody would tell that an ended connection is gone, and
    // no answer reaches it.
    if (!connection.isNamed || connection.isClosed) return;
    const before = this.#latest.get(connection.name);
    if (before === connection) return;
    if (before) before.isOvertaken = true;
    this.#latest.set(connection.name, connection);
  }

  /** Whether it is in doubt over which connection answers for the client have gone. */
  hasDoubts(connection: Connection): boolean {
    return this.#doubtful.has(connection.name);
  }

  /** Answers that were sent over this connection until now went nowhere else. */
  endDoubts(connection: Connection): void {
    for (const call of this.#doubtful.get(connection.name) ?? []) {
      if (call.connection === connection) this.#endDoubt(call);
    }
  }

  #endDoubt(call: OpenCall): void {
    this.#leaveDoubtful(call);
    call.doubt = -1;
    if (!call.isRemembered) this.forget(call);
  }

  #leaveDoubtful(call: OpenCall): void {
    const { name } = call.connection;
    const calls = this.#doubtful.get(name);
    if (calls?.delete(call) && calls.size === 0) this.#doubtful.delete(name);
  }

  /** Nothing comes over the connection any more. */
  gone(connection: Connection): void {
    if (this.#latest.get(connection.name) === connection) this.#latest.delete(connection.name);
  }

  /**
   * Whether an answer over this connection reaches the client that asked over it. If it was followed by another
   * connection of the same identity, that client may wait for something else.
   */
  reaches(connection: Connection): boolean {
    if (connection.isClosed || !connection.isNamed) return !connection.isClosed;
    return this.#latest.get(connection.name) === connection;
  }

  /**
   * The call that a request asks for again, if there is one. From now on its answer goes to this connection.
   *
   * @param id the request's id; null: there is none
   * @returns "answered" if the answer may have gone to this connection already. If it has not, the client asks again
   */
  join(
    connection: Connection,
    envelope: Envelope,
    id: Uint8Array | null,
    payload: Uint8Array,
  ): OpenCall | "answered" | null {
    const family = familyOf(connection, id);
    if (family === null) return null;
    const calls = this.#families.get(family);
    if (!calls) return null;
    const found = calls.find((call) =>
      id !== null || (call.connection !== connection && isEqual(call.payload!, payload))
    );
    if (!found) return null;
    if (found.doubt >= 0) {
      const mayHaveIt = found.connection !== connection && connection.order <= found.doubt;
      this.#endDoubt(found);
      if (mayHaveIt) return "answered";
      if (!found.isRemembered) return null;
    }
    found.connection = connection;
    found.envelope = envelope;
    return found;
  }

  /** A new call. */
  open(
    connection: Connection,
    envelope: Envelope,
    id: Uint8Array | null,
    payload: Uint8Array,
  ): OpenCall {
    const family = familyOf(connection, id);
    const call: OpenCall = {
      connection,
      envelope,
      answer: null,
      isRemembered: false,
      doubt: -1,
      family,
      payload: family === null || id !== null ? null : payload.slice() as Bytes,
      expires: Infinity,
    };
    if (family !== null) {
      const calls = this.#families.get(family);
      if (calls) calls.push(call);
      else this.#families.set(family, [call]);
    }
    return call;
  }

  /**
   * The call has an answer, which was delivered or not.
   *
   * @param isFinal asking again gives the same answer
   * @param doubt see {@linkcode OpenCall.doubt}
   */
  answered(
    call: OpenCall,
    answer: readonly Bytes[],
    wasDelivered: boolean,
    isFinal: boolean,
    time: number,
    doubt = -1,
  ): void {
    call.isRemembered = isFinal && (this.#terms.idFrame || !wasDelivered);
    const isDoubtful = wasDelivered && doubt >= 0;
    if (call.family === null || !(call.isRemembered || isDoubtful)) return this.forget(call);
    if (isDoubtful) this.#doubtIt(call, doubt);
    // The frames last only until the next answer.
    call.answer = call.isRemembered ? answer.map((frame) => frame.slice()) : [];
    this.#rememberedBytes += bytesOf(call.answer);
    call.expires = time + this.#terms.remember;
    this.#answered.add(call);
    while (this.#rememberedBytes > rememberedBytesMax) this.#forgetOldest();
  }

  /** The client has asked again and got the answer. */
  repeated(call: OpenCall, doubt: number): void {
    call.isRemembered = this.#terms.idFrame;
    if (doubt >= 0) this.#doubtIt(call, doubt);
    else if (!call.isRemembered) this.forget(call);
  }

  #doubtIt(call: OpenCall, doubt: number): void {
    const { name } = call.connection;
    const calls = this.#doubtful.get(name);
    if (calls) calls.add(call);
    else this.#doubtful.set(name, new Set([call]));
    call.doubt = doubt;
  }

  /** Nobody asks for the call again. */
  forget(call: OpenCall): void {
    this.#leaveDoubtful(call);
    if (this.#answered.delete(call)) this.#rememberedBytes -= bytesOf(call.answer!);
    const { family } = call;
    if (family === null) return;
    const calls = this.#families.get(family);
    const index = calls?.indexOf(call) ?? -1;
    if (index < 0) return;
    if (calls!.length === 1) this.#families.delete(family);
    else calls!.splice(index, 1);
  }

  /** Forgets answers whose time is over. Returns when the next one is due; Infinity: there is none. */
  expire(time: number): number {
    for (const call of this.#answered) {
      if (call.expires > time) return call.expires;
      this.forget(call);
    }
    return Infinity;
  }

  #forgetOldest(): void {
    for (const call of this.#answered) return this.forget(call);
  }
}

/** What requests for the same call have in common; null: the client cannot be known again. */
function familyOf(connection: Connection, id: Uint8Array | null): string | null {
  if (id === null && !connection.isNamed) return null;
  const { name, key = "" } = connection;
  // The length keeps an identity and an id apart, whatever bytes they have.
  const client = `${name.length}:${name}${key}`;
  return id === null ? client : `${client}\n${String.fromCharCode(...id)}`;
}

function bytesOf(frames: readonly Uint8Array[]): number {
  let total = 256;
  for (const { byteLength } of frames) total += byteLength;
  return total;
}
