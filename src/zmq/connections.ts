/**
 * The connections of a door's clients. libzmq tells messages of different connections apart only by an object that all
 * messages of one connection share. As long as a door keeps one of these messages, no other connection can get an
 * object at the same address.
 *
 * @module
 */
import type { Origin } from "../base/peer.ts";
import { encodeNote } from "../channel/forwarding.ts";
import type { PumpedReader } from "../channel/pumped_calls.ts";
import { cString } from "../runtime/c_library.ts";
import { textAt } from "../runtime/c_memory.ts";
import { type LibZmq, messageBytes } from "./libzmq.ts";
import { contentOf } from "./socket.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A connection of a client. */
export class Connection {
  /** The routing id, to which answers go. */
  readonly identity: Bytes;
  /** The routing id as a text, one character for each byte. */
  readonly name: string;
  /** The client has chosen its identity itself, so it can be known again on another connection. */
  readonly isNamed: boolean;
  readonly address: string;
  /** The client's public key; undefined: the connection is not encrypted. */
  readonly key: string | undefined;
  /** The descriptor that libzmq has for it, while it is open. */
  readonly fd: number;
  isClosed: boolean;
  /** The client has another connection now, with the same identity, and asks there for what it still wants. */
  isOvertaken = false;
  /** The object that its messages share, and the place of the message that keeps it; undefined: nothing keeps it. */
  kept: { readonly object: number; readonly place: number } | undefined = undefined;
  /** Connections that were accepted later have a greater number. */
  readonly order: number;
  /** No other connection can be the one of its messages; its first one was handled. */
  isKnown = false;
  isHeard = false;
  /** Goes with each request. */
  readonly note: Bytes;
  /** Reads the answers to requests that nobody can ask for again. */
  reader: PumpedReader | null = null;

  constructor(identity: Bytes, origin: Origin, fd: number, isClosed: boolean, order = 0) {
    this.identity = identity;
    this.name = String.fromCharCode(...identity);
    // libzmq begins the ones that it makes itself with a zero.
    this.isNamed = identity[0] !== 0;
    this.address = origin.address;
    this.key = origin.key;
    this.note = encodeNote(origin);
    this.fd = fd;
    this.isClosed = isClosed;
    this.order = order;
  }
}

/** How many connections are known at once. Of one more, the oldest is forgotten, and counts as new when it is heard again. */
const keptMax = 16_384;
/** Of so many connections that have ended, messages that are read later are still known as theirs. */
const endedMax = 256;
/** A message with a longer first frame is no request, and keeping it would keep its memory. */
const keptBytesMax = 255;
const textBytesMax = 512;

const peerAddress = cString("Peer-Address");
const userId = cString("User-Id");
const chosenIdentity = cString("Identity");
const descriptor = cString("__fd");

export class Connections {
  readonly #zmq: LibZmq;
  readonly #method: string | undefined;
  readonly #known: Map<number, Connection> = new Map();
  readonly #byDescriptor: Map<number, Connection> = new Map();
  /** The messages that keep objects. */
  readonly #messages: Bytes = new Uint8Array(messageBytes * keptMax);
  readonly #freePlaces: number[] = [];
  #placesUsed = 0;
  /** The order of each open connection, by descriptor, as far as the monitor has told. */
  readonly #open: Map<number, number> = new Map();
  #accepted = 0;
  /** Descriptors of connections that have ended before the door has read a message of them. */
  readonly #unheard: Set<number> = new Set();
  /** Descriptors of open connections that one of {@linkcode #unheard} had before: its messages look alike. */
  readonly #inherited: Set<number> = new Set();
  /** Descriptors of open connections of which the door has certainly read a message. */
  readonly #heard: Set<number> = new Set();
  /** Connections that have ended, the oldest first. */
  readonly #ended: Set<Connection> = new Set();
  readonly #hearNews: () => void;
  readonly #onHeardLate: () => void;
  readonly #onReplaced: (connection: Connection) => void;

  /**
   * @param method what requests call; it goes into their notes
   * @param hearNews calls {@linkcode opened} and {@linkcode closed} for what has happened until now
   * @param onHeardLate runs for a message of a connection for which {@linkcode closed} has returned undefined
   * @param onReplaced runs for a connection that has ended without news of it
   */
  constructor(
    zmq: LibZmq,
    method: string | undefined,
    hearNews: () => void,
    onHeardLate: () => void,
    onReplaced: (connection: Connection) => void,
  ) {
    this.#zmq = zmq;
    this.#method = method;
    this.#hearNews = hearNews;
    this.#onHeardLate = onHeardLate;
    this.#onReplaced = onReplaced;
  }

  #messageAt(place: number): Bytes {
    return this.#messages.subarray(place * messageBytes, (place + 1) * messageBytes);
  }

  /** How many connections are open. */
  get openCount(): number {
    return this.#open.size;
  }

  /** The connection whose messages have this object, if it is known. */
  known(object: number): Connection | undefined {
    return this.#known.get(object);
  }

  /** The order of the newest connection, if there are some that were not heard yet; otherwise -1. */
  get newestUnheard(): number {
    return this.#open.size > this.#heard.size ? this.#accepted : -1;
  }

  /** The first message of a connection is handled now. */
  hear(connection: Connection): void {
    connection.isHeard = true;
    const { fd, isClosed, isKnown } = connection;
    if (isKnown && !isClosed && this.#byDescriptor.get(fd) === connection) this.#heard.add(fd);
  }

  /** A connection was accepted. */
  opened(fd: number): void {
    this.#open.set(fd, ++this.#accepted);
    if (this.#unheard.delete(fd)) this.#inherited.add(fd);
  }

  /** A connection has ended. Returns it; undefined: the door has read no message of it. */
  closed(fd: number): Connection | undefined {
    this.#open.delete(fd);
    this.#heard.delete(fd);
    this.#inherited.delete(fd);
    const connection = this.#byDescriptor.get(fd);
    if (!connection) {
      this.#unheard.add(fd);
      return undefined;
    }
    this.#end(connection);
    return connection;
  }

  #end(connection: Connection): void {
    this.#byDescriptor.delete(connection.fd);
    connection.isClosed = true;
    this.#ended.add(connection);
    if (this.#ended.size <= endedMax) return;
    for (const oldest of this.#ended) return this.#forget(oldest);
  }

  /**
   * The connection of a message.
   *
   * @param object what its messages have in common
   * @param id the frame with the routing id
   * @param first the frame behind it; not every version of libzmq lets the routing id share the object
   */
  meet(object: number, id: Bytes, first: Bytes): Connection {
    this.#hearNews();
    const known = this.#known.get(object);
    if (known) return known;
    const key = this.#property(first, userId) || undefined;
    const address = readable(this.#property(first, peerAddress));
    const fd = Number(this.#property(first, descriptor) || -1);
    // The last messages of a connection are read after its end.
    const isClosed = !this.#open.has(fd);
    if (isClosed && this.#unheard.delete(fd)) this.#onHeardLate();
    const origin = { address, key, method: this.#method };
    const order = this.#open.get(fd) ?? 0;
    const connection = new Connection(contentOf(this.#zmq, id), origin, fd, isClosed, order);
    // libzmq gives a connection another identity when a new connection takes over the one that its client has chosen.
    connection.isOvertaken = !connection.isNamed && this.#property(first, chosenIdentity) !== "";
    if (!isClosed) this.#meetOpen(connection);
    // Without an object, each message counts as a connection of its own.
    const canKeep = object !== 0 && Number(this.#zmq.zmq_msg_size(first)) <= keptBytesMax;
    if (canKeep && !isClosed) this.#keep(object, first, connection);
    return connection;
  }

  /** libzmq hands over the messages of a connection after those of one that had the descriptor before. */
  #meetOpen(connection: Connection): void {
    const { fd } = connection;
    const replaced = this.#byDescriptor.get(fd);
    if (replaced) {
      this.#end(replaced);
      this.#onReplaced(replaced);
    }
    connection.isKnown = replaced !== undefined || !this.#inherited.delete(fd);
  }

  #keep(object: number, first: Bytes, connection: Connection): void {
    if (this.#known.size >= keptMax) this.#forgetOldest();
    const place = this.#freePlaces.pop() ?? this.#placesUsed++;
    const message = this.#messageAt(place);
    this.#zmq.zmq_msg_init(message);
    this.#zmq.zmq_msg_copy(message, first);
    connection.kept = { object, place };
    this.#known.set(object, connection);
    this.#byDescriptor.set(connection.fd, connection);
  }

  #forgetOldest(): void {
    for (const connection of this.#known.values()) return this.#forget(connection);
  }

  #forget(connection: Connection): void {
    const { kept } = connection;
    if (!kept) return;
    connection.kept = undefined;
    this.#ended.delete(connection);
    this.#known.delete(kept.object);
    if (this.#byDescriptor.get(connection.fd) === connection) {
      this.#byDescriptor.delete(connection.fd);
    }
    this.#zmq.zmq_msg_close(this.#messageAt(kept.place));
    this.#freePlaces.push(kept.place);
  }

  #property(first: Bytes, name: Uint8Array): string {
    const text = this.#zmq.zmq_msg_gets(first, name);
    return text === 0n ? "" : textAt(text, textBytesMax);
  }

  /** Before the context ends, which waits for nothing else. */
  close(): void {
    for (const connection of [...this.#known.values()]) this.#forget(connection);
  }
}

/** Of a client behind a Unix socket, libzmq knows the user, the group and the process. */
export function readable(address: string): string {
  return address.replace(/^(?:localhost)?:?(\d+:\d+:\d+)$/, "ipc:$1");
}
