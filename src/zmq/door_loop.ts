/**
 * The work of a door: between a socket of ZeroMQ and a channel. It runs in a thread of its own, which sleeps in libzmq
 * until something arrives on either side.
 *
 * @module
 */
import { PumpedClient } from "../channel/pumped_client.ts";
import type { PlacedReader } from "../channel/pumped_calls.ts";
import { type ErrorCode, TandemError } from "../errors.ts";
import { isEqual } from "../base/bytes.ts";
import { codeOf } from "../base/guard.ts";
import { noteBytesMax } from "../ffi/layout.ts";
import { now } from "../runtime/timers.ts";
import { Batch, loopBytesMax } from "./batch.ts";
import { type Connection, Connections } from "./connections.ts";
import { Counters } from "./counters.ts";
import { Desk, type Envelope, type OpenCall } from "./desk.ts";
import { controlEndpoint, type DoorAssignment } from "./door_worker_data.ts";
import { needsIpv6 } from "./endpoint.ts";
import { type CallFailure, errorFrames, failureOf } from "./failures.ts";
import { IpcPath } from "./ipc_path.ts";
import { libzmq, Option } from "./libzmq.ts";
import { Monitor } from "./monitor.ts";
import { Owners } from "./owners.ts";
import { Poller } from "./poller.ts";
import { type Arrival, type Fault, plainEnvelope, Requests } from "./requests.ts";
import { ZmqSocket } from "./socket.ts";
import { Zap, zapDomain } from "./zap.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A longer message than the limit gets an error; from so many times the limit on, its connection is cut. */
const cutFactor = 2;
/** Longer answers are not worth keeping memory for. */
const copyBytesMax = 2 ** 21;
/** Longer answers are sent one by one. */
const batchedBytesMax = 8_192;
/** Requests that are taken before answers are looked for again. */
const takenMax = 64;
/** While there is work, orders and news are heard only so often: looking for them takes as long as some requests. */
const turnsUnheard = 16;
/** How often the door looks for a channel that does not exist, in milliseconds. */
const reopenEvery = 50;
const backlog = 1_024;
const noBytes: Bytes = new Uint8Array();
/** How long answers may take on their way out when the door closes, in milliseconds. */
const lingerMax = 1_000;

const faults: Readonly<Record<Exclude<Fault, "malformed">, CallFailure>> = {
  "several frames": {
    code: "UNSUPPORTED",
    message: "Cannot take a request of several payload frames: send one",
  },
  "no payload": {
    code: "UNSUPPORTED",
    message: "Cannot take a request without a payload: the first frame is its id, send two",
  },
  "too long": {
    code: "TOO_LARGE",
    message: "Cannot take so long a request: send a shorter payload",
  },
  "id too long": {
    code: "UNSUPPORTED",
    message: "Cannot take an id of more than 255 bytes: send a shorter one",
  },
};

const foreignIdentity: CallFailure = {
  code: "PERMISSION",
  message:
    "Cannot take the request: its identity belongs to a client with another key; choose another identity",
};
const closing: CallFailure = { code: "CLOSED", message: "The door closes: ask again later" };
const full: CallFailure = {
  code: "BUSY",
  message: "Cannot take the request: all slots of the channel are in use; ask again later",
};

/** Hears how calls end. */
interface CallEnds {
  answered(call: OpenCall, id: Bytes | null, bytes: Bytes, isPrivate: boolean): void;
  /** The answer lies in the client's `answers`. */
  answeredAt(call: OpenCall, id: Bytes | null, offset: number, length: number): void;
  failed(call: OpenCall, id: Bytes | null, error: unknown): void;
}

/**
 * A call under way, or all calls of a connection that nobody can ask for again. There are many: one object takes less time
 * than a function for each end.
 */
class Forwarded implements PlacedReader {
  readonly #ends: CallEnds;
  readonly #call: OpenCall;
  readonly #id: Bytes | null;

  constructor(ends: CallEnds, call: OpenCall, id: Bytes | null) {
    this.#ends = ends;
    this.#call = call;
    this.#id = id;
  }

  read(bytes: Bytes, isPrivate: boolean): void {
    this.#ends.answered(this.#call, this.#id, bytes, isPrivate);
  }

  readPlaced(offset: number, length: number): void {
    this.#ends.answeredAt(this.#call, this.#id, offset, length);
  }

  fail(error: unknown): void {
    this.#ends.failed(this.#call, this.#id, error);
  }
}

export class DoorLoop {
  readonly #assignment: DoorAssignment;
  readonly #counters: Counters;
  readonly #router: ZmqSocket;
  readonly #control: ZmqSocket;
  readonly #zap: Zap | null = null;
  readonly #monitor: Monitor;
  readonly #connections: Connections;
  readonly #batch: Batch;
  readonly #requests: Requests;
  readonly #desk: Desk;
  readonly #owners: Owners;
  /** What has to be closed. */
  readonly #parts: { close(): void }[] = [];
  #client: PumpedClient | null = null;
  #isListening = false;
  /** The requests that the client sends together next: whose, and where they lie. */
  #planned = 0;
  readonly #senders: Connection[] = [];
  readonly #offsets: number[] = [];
  readonly #lengths: number[] = [];
  #inFlight = 0;
  #copied: Bytes = new Uint8Array(4_096);
  /** When calls in flight are given up; Infinity: the door is open. */
  #closeBy = Infinity;
  /** Where it listens. */
  readonly endpoint: string;

  /** @throws {TandemError} when it cannot listen */
  constructor(assignment: DoorAssignment) {
    this.#assignment = assignment;
    const { terms } = assignment;
    this.#counters = new Counters(assignment.counters);
    this.#desk = new Desk(terms);
    this.#owners = new Owners(terms.remember);
    try {
      this.#control = this.#open(new ZmqSocket(assignment.context, "pair"));
      this.#control.bind(controlEndpoint);
      // Before the first connection asks.
      if (terms.curve) this.#zap = this.#open(new Zap(assignment.context, terms.curve.allow));
      this.#router = this.#makeRouter(assignment.context);
      this.#monitor = this.#open(new Monitor(assignment.context, this.#router));
      const heardLate = () => this.#counters.add("cut", -1);
      this.#connections = this.#open(
        new Connections(
          libzmq(),
          terms.method,
          () => this.#hearNews(),
          heardLate,
          (connection) => this.#desk.gone(connection),
        ),
      );
      const { idFrame, maxMessageBytes } = terms;
      this.#batch = this.#open(
        new Batch(this.#router.address, maxMessageBytes, noteBytesMax, !idFrame),
      );
      this.#requests = new Requests(
        this.#router,
        this.#batch,
        this.#connections,
        idFrame,
        maxMessageBytes,
        noteBytesMax,
      );
      // A channel that cannot be opened is an error, one that does not exist yet is none.
      this.#reach();
      // Last: then clients may come.
      const path = this.#open(new IpcPath(terms.frontend));
      path.check();
      this.#router.bind(terms.frontend);
      path.taken();
      this.endpoint = this.#router.getText(Option.lastEndpoint);
      this.#isListening = true;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #open<T extends { close(): void }>(part: T): T {
    this.#parts.push(part);
    return part;
  }

  #makeRouter(context: bigint): ZmqSocket {
    const { frontend, highWaterMark, maxMessageBytes, curve } = this.#assignment.terms;
    const router = this.#open(new ZmqSocket(context, "router"));
    router.setNumber(Option.routerMandatory, 1);
    router.setNumber(Option.routerHandover, 1);
    router.setNumber(Option.sendHighWaterMark, highWaterMark);
    router.setNumber(Option.receiveHighWaterMark, highWaterMark);
    router.setBytes(
      Option.maxMessageBytes,
      new Uint8Array(new BigInt64Array([BigInt(maxMessageBytes * cutFactor)]).buffer),
    );
    router.setNumber(Option.backlog, backlog);
    router.setNumber(Option.tcpKeepAlive, 1);
    if (needsIpv6(frontend)) router.setNumber(Option.ipv6, 1);
    if (!curve) return router;
    router.setNumber(Option.curveServer, 1);
    const isSet = router.setText(Option.curveSecretKey, curve.secretKey) &&
      router.setText(Option.zapDomain, zapDomain);
    if (isSet) return router;
    throw new TandemError(
      "UNSUPPORTED",
      "Cannot use CURVE: this libzmq was built without it, or the key is none; install another libzmq",
    );
  }

  /** Works until the door is closed, or its context has ended. */
  run(): void {
    const { waitMax } = this.#assignment;
    const router = { socket: this.#router.address };
    const control = { socket: this.#control.address };
    const others = [{ socket: this.#monitor.socket.address }];
    if (this.#zap) others.push({ socket: this.#zap.socket.address });
    while (this.#isOpen()) {
      const client = this.#reach();
      // Requests wait in libzmq as long as there is no channel.
      const poller = new Poller(
        client ? [control, ...others, { fd: client.notifyFd }, router] : [control, ...others],
      );
      const notify = 1 + others.length;
      let turns = 0;
      while (this.#isOpen() && this.#client === client) {
        if (!client || !this.#work(client)) {
          const wait = client ? this.#patience(client) : reopenEvery;
          const bounded = waitMax < 0 ? wait : Math.min(wait, waitMax);
          const woken = poller.wait(bounded);
          if (woken === "ended") return;
          if (poller.isReady(notify)) client?.drainNotify();
          client?.lookAround(woken === "late");
          if (poller.isReady(0)) this.#hearControl();
          if (others.some((_, index) => poller.isReady(1 + index))) this.#hearOthers();
        } else if (++turns % turnsUnheard === 0) {
          this.#hearControl();
          this.#hearOthers();
        }
        if (!client) break;
      }
    }
  }

  #hearOthers(): void {
    this.#zap?.answer();
    this.#hearNews();
  }

  /** Closes everything: the context waits for its sockets. */
  close(): void {
    this.#client?.close();
    for (const part of this.#parts.splice(0).reverse()) part.close();
  }

  #isOpen(): boolean {
    return this.#closeBy === Infinity || (this.#inFlight > 0 && now() < this.#closeBy);
  }

  /** The channel; null: there is none yet. */
  #reach(): PumpedClient | null {
    if (this.#client) return this.#client;
    const { target } = this.#assignment;
    try {
      return this.#client = typeof target === "number"
        ? PumpedClient.fromFd(target)
        : PumpedClient.open(target);
    } catch (error) {
      const code = codeOf(error);
      if (code === "NOT_FOUND") return null;
      // The file system is full: as long as clients can wait, so can the door.
      if (code === "NO_SPACE" && this.#isListening) return null;
      throw error;
    }
  }

  /** The channel was removed: its successor may be there already. */
  #leaveChannel(): PumpedClient | null {
    this.#client?.close();
    this.#client = null;
    return typeof this.#assignment.target === "number" ? null : this.#reach();
  }

  /** How long there may be nothing to do. */
  #patience(client: PumpedClient): number {
    const time = now();
    const forgetting = this.#desk.expire(time) - time;
    this.#counters.set("remembered", this.#desk.remembered);
    return Math.max(0, Math.min(client.patience, forgetting, this.#closeBy - time));
  }

  /** Takes answers and requests. False: there was nothing. */
  #work(client: PumpedClient): boolean {
    let hasWorked = false;
    if (client.outstanding > 0) {
      // Other clients get a new identity with each connection.
      if (this.#desk.canBeAsked) this.#hearWhoHasGone();
      hasWorked = client.collect() > 0;
      this.#counters.set("inFlight", this.#inFlight);
    }
    this.#flush();
    // An answer must not overtake the messages that libzmq has handed over: one of them may be of the client's next
    // connection.
    const requests = this.#requests;
    for (let count = 0; count < takenMax || requests.hasReceived; count++) {
      if (!requests.hasReceived) {
        // The next ones take their memory.
        this.#forwardPlanned(client);
        if (this.#client !== client) return true;
        if (!requests.refill()) return hasWorked;
      }
      hasWorked = true;
      const sender = requests.plainSender;
      // The room for a note is none for a payload.
      const hasRoom = requests.nextLength <= client.maxRequestBytes;
      if (sender !== null && hasRoom && this.#isSimple(sender)) {
        this.#plan(client, sender);
        continue;
      }
      this.#forwardPlanned(client);
      if (this.#client !== client) return true;
      this.#take(requests.receive()!);
      if (this.#client !== client) return true;
    }
    this.#forwardPlanned(client);
    return true;
  }

  /** Whether nothing is to be done with a plain request but to pass it on: nobody can ask for it again. */
  #isSimple({ isNamed, key, isClosed, isOvertaken }: Connection): boolean {
    return !isNamed && key === undefined && !isClosed && !isOvertaken && this.#closeBy === Infinity;
  }

  #plan(client: PumpedClient, sender: Connection): void {
    const offset = this.#requests.takePlain();
    const length = this.#requests.takenLength;
    const { note } = sender;
    const { bytes } = this.#batch;
    const end = offset + length;
    if (note.byteLength > loopBytesMax) bytes.set(note, end);
    else for (let at = 0; at < note.byteLength; at++) bytes[end + at] = note[at]!;
    sender.reader ??= new Forwarded(
      this.#ends,
      this.#desk.open(sender, plainEnvelope, null, note),
      null,
    );
    client.plan(offset, length + note.byteLength, sender.reader);
    const index = this.#planned++;
    this.#senders[index] = sender;
    this.#offsets[index] = offset;
    this.#lengths[index] = length;
  }

  #forwardPlanned(client: PumpedClient): void {
    const count = this.#planned;
    if (count === 0) return;
    // The arrays keep their lengths: engines would make their memory anew.
    this.#planned = 0;
    const sent = client.forwardPlanned(this.#batch.bytes, this.#assignment.terms.timeout);
    this.#counters.add("requests", count);
    this.#count(sent);
    for (let index = sent; index < count; index++) this.#forwardAlone(index);
  }

  /** It is the first for which there is no slot, or something else is wrong with it; or it comes behind such a one. */
  #forwardAlone(index: number): void {
    const connection = this.#senders[index]!;
    const [offset, length] = [this.#offsets[index]!, this.#lengths[index]!];
    const bytes = this.#batch.bytes.subarray(offset, offset + length + noteBytesMax);
    this.#forward(
      { connection, envelope: plainEnvelope, id: null, bytes, length, fault: null },
      bytes,
    );
  }

  /**
   * Before answers are sent: an answer must not go to a client's next connection, which may wait for something else.
   * libzmq takes up new connections here, so it takes up none between the news and the answers.
   */
  #hearWhoHasGone(): void {
    this.#router.getNumber(Option.events);
    this.#hearNews();
  }

  #hearNews(): void {
    this.#monitor.read(this.#news);
    this.#counters.set("connections", this.#connections.openCount);
  }

  readonly #news = {
    accepted: (fd: number): void => {
      this.#counters.add("accepted");
      this.#connections.opened(fd);
    },
    handshakeFailed: (): void => {
      this.#counters.add("handshakeFailures");
      this.#hasJustFailed = true;
    },
    disconnected: (fd: number): void => {
      const connection = this.#connections.closed(fd);
      if (connection) this.#desk.gone(connection);
      else if (!this.#hasJustFailed) this.#counters.add("cut");
      this.#hasJustFailed = false;
    },
  };

  /** The next connection that ends does so because of its handshake. */
  #hasJustFailed = false;

  #hearControl(): void {
    const order = new Uint8Array(32);
    const length = this.#control.receive(order, BigInt(order.byteLength));
    if (length < 0) return;
    const patience = Number(new TextDecoder().decode(order.subarray(0, length)));
    // The door may be told again, with less time. It goes on to listen: libzmq would end all connections with that, and
    // answers would find nobody.
    const isFirst = this.#closeBy === Infinity;
    this.#closeBy = now() + patience;
    if (isFirst && patience > 0) {
      this.#router.setNumber(Option.linger, Math.min(patience, lingerMax));
    }
  }

  #take(arrival: Arrival): void {
    const { connection, envelope, id, bytes, fault } = arrival;
    if (fault === "malformed") return this.#counters.add("malformed");
    // It would run what the client asks for over its new connection once more, and send a second answer there.
    if (this.#isOvertaken(connection)) return this.#counters.add("overtaken");
    if (connection.key !== undefined && !this.#owners.admits(connection, now())) {
      this.#counters.add("refused");
      this.#counters.add("errors");
      // Answers for the identity go to this connection now; that of its owner was ended by libzmq.
      return void this.#send(connection, envelope, this.#errorFrames(id, foreignIdentity));
    }
    this.#desk.heard(connection);
    if (fault) return this.#refuse(connection, envelope, id, faults[fault]);
    this.#counters.add("requests");
    // Of other clients, nothing is compared.
    const payload = connection.isNamed ? bytes.subarray(0, arrival.length) : bytes;
    const known = this.#desk.join(connection, envelope, id, payload);
    if (known === "answered") return this.#counters.add("overtaken");
    if (known) return this.#joined(known);
    if (this.#closeBy < Infinity) return this.#fail(connection, envelope, id, closing);
    this.#forward(arrival, payload);
  }

  #isOvertaken(connection: Connection): boolean {
    const { isClosed } = connection;
    if (!connection.isOvertaken && (isClosed || this.#desk.hasDoubts(connection))) {
      if (this.#hasLost(connection)) connection.isOvertaken = true;
      else if (!isClosed) this.#desk.endDoubts(connection);
    }
    return connection.isOvertaken;
  }

  /** Whether answers for the last message's connection go to another one, which has taken over its identity. */
  #hasLost({ identity, isNamed }: Connection): boolean {
    return isNamed && !isEqual(this.#requests.routingId, identity);
  }

  /**
   * Which connections may get an answer that is sent to a client now, in place of the client's own. Those that are
   * accepted later cannot: a client that has its answer already may open another connection at once.
   */
  #doubt(connection: Connection): number {
    if (!connection.isNamed) return -1;
    this.#hearWhoHasGone();
    return this.#connections.newestUnheard;
  }

  #refuse(connection: Connection, envelope: Envelope, id: Bytes | null, why: CallFailure): void {
    this.#counters.add("refused");
    this.#fail(connection, envelope, id, why);
  }

  #joined(call: OpenCall): void {
    if (call.answer === null) return this.#counters.add("joined");
    this.#counters.add("repeated");
    const doubt = this.#doubt(call.connection);
    const wasDelivered = this.#sendIfReached(call.connection, call.envelope, call.answer);
    if (wasDelivered) this.#desk.repeated(call, doubt);
  }

  #forward(arrival: Arrival, payload: Bytes): void {
    const { connection, envelope, id, bytes, length } = arrival;
    const call = this.#desk.open(connection, envelope, id, payload);
    const { note } = connection;
    if (note.byteLength > loopBytesMax) bytes.set(note, length);
    else for (let at = 0; at < note.byteLength; at++) bytes[length + at] = note[at]!;
    const failure = this.#tryForward(arrival, note.byteLength, call);
    if (!failure) return this.#count(1);
    this.#desk.forget(call);
    if (failure.code === "BUSY") this.#counters.add("busy");
    this.#fail(connection, envelope, id, failure);
  }

  /** Undefined: the request is under way. */
  #tryForward(
    { bytes, length, id }: Arrival,
    noteBytes: number,
    call: OpenCall,
  ): CallFailure | undefined {
    const { timeout } = this.#assignment.terms;
    const reader = new Forwarded(this.#ends, call, id);
    for (let client = this.#client;;) {
      try {
        return client?.tryForward(bytes, length, noteBytes, timeout, reader) ? undefined : full;
      } catch (error) {
        if (codeOf(error) !== "NOT_FOUND" || client === null) return failureOf(error);
        client = this.#leaveChannel();
        if (client === null) return failureOf(error);
      }
    }
  }

  readonly #ends: CallEnds = {
    answeredAt: (call, id, offset, length) => {
      if (this.#canBatch(call)) {
        this.#inFlight -= 1;
        const { identity } = call.connection;
        if (this.#batch.addPlaced(identity, offset, length)) return;
        this.#flush();
        this.#batch.addPlaced(identity, offset, length);
        return;
      }
      const answer = this.#client!.answers.subarray(offset, offset + length);
      this.#ends.answered(call, id, answer, true);
    },
    answered: (call, id, bytes, isPrivate) => {
      this.#count(-1);
      if (this.#addToBatch(call, bytes)) return;
      // libzmq reads the answer while others could change it.
      const answer = isPrivate ? bytes : this.#copy(bytes);
      this.#answered(call, id ? [id, answer] : [answer], true);
    },
    failed: (call, id, error) => {
      this.#count(-1);
      const failure = failureOf(error);
      this.#counters.add("errors");
      // A client that hears nothing asks again, and the call runs again.
      const isFinal = failure.code === "REMOTE" && this.#assignment.terms.errors === "frame";
      this.#answered(call, this.#errorFrames(id, failure), isFinal);
    },
  };

  /** A copy that lasts until the next one: engines free many long arrays late while their thread never rests. */
  #copy(bytes: Bytes): Bytes {
    const { byteLength } = bytes;
    if (byteLength > copyBytesMax) return bytes.slice();
    if (byteLength > this.#copied.byteLength) {
      this.#copied = new Uint8Array(Math.min(2 * byteLength, copyBytesMax));
    }
    const copy = this.#copied.subarray(0, byteLength);
    copy.set(bytes);
    return copy;
  }

  #count(difference: number): void {
    this.#inFlight += difference;
    this.#counters.set("inFlight", this.#inFlight);
  }

  /** An answer that nobody asks for again goes out with others. False: it is to be sent alone. */
  #addToBatch(call: OpenCall, answer: Bytes): boolean {
    if (answer.byteLength > batchedBytesMax || !this.#canBatch(call)) return false;
    const { connection } = call;
    if (this.#batch.add(connection.identity, answer)) return true;
    this.#flush();
    return this.#batch.add(connection.identity, answer);
  }

  #canBatch({ connection, envelope, family }: OpenCall): boolean {
    return family === null && envelope === plainEnvelope && !connection.isClosed;
  }

  #flush(): void {
    const counts = this.#batch.flush(this.#client?.answers ?? noBytes);
    if (!counts) return;
    this.#counters.add("answers", counts.sent);
    this.#counters.add("overflowed", counts.full);
    this.#counters.add("unreachable", counts.unreachable);
  }

  /** @param isFinal asking again gives the same answer */
  #answered(call: OpenCall, answer: readonly Bytes[], isFinal: boolean): void {
    const { connection, envelope } = call;
    const doubt = this.#doubt(connection);
    const isReached = this.#desk.reaches(connection);
    const wasDelivered = isReached && this.#send(connection, envelope, answer);
    this.#desk.answered(call, answer, wasDelivered, isFinal, now(), doubt);
    // In this order, so that nobody who reads the numbers takes a kept answer for one that is forgotten.
    this.#counters.set("remembered", this.#desk.remembered);
    if (!isReached) this.#counters.add("unreachable");
  }

  #fail(connection: Connection, envelope: Envelope, id: Bytes | null, failure: CallFailure): void {
    this.#counters.add("errors");
    if (connection.isNamed) this.#hearWhoHasGone();
    this.#sendIfReached(connection, envelope, this.#errorFrames(id, failure));
  }

  /** Nothing where errors are silent. */
  #errorFrames(id: Bytes | null, failure: CallFailure): readonly Bytes[] {
    if (this.#assignment.terms.errors === "silent") return [];
    const frames = errorFrames(failure);
    return id ? [id, ...frames] : frames;
  }

  /** False: the client is gone, or waits for something else. Hear who has gone before. */
  #sendIfReached(connection: Connection, envelope: Envelope, answer: readonly Bytes[]): boolean {
    if (this.#desk.reaches(connection)) return this.#send(connection, envelope, answer);
    this.#counters.add("unreachable");
    return false;
  }

  /** False: the client is gone. */
  #send(connection: Connection, envelope: Envelope, answer: readonly Bytes[]): boolean {
    if (answer.length === 0) return true;
    const sent = this.#router.send([connection.identity, ...envelope, ...answer]);
    if (sent === "sent") this.#counters.add("answers");
    else this.#counters.add(sent === "full" ? "overflowed" : "unreachable");
    return sent !== "unreachable";
  }
}

/** The code for an error that ends the door. */
export function doorFailure(error: unknown): { code: ErrorCode; message: string } {
  const code = codeOf(error) ?? "UNSUPPORTED";
  return { code, message: error instanceof Error ? error.message : String(error) };
}
