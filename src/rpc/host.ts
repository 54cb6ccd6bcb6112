/**
 * A channel that one process alone serves, for what it has sent that does not fit into a message:
 * streams, item by item, and long messages, part by part. It lies beside the bells of the process, so
 * that it goes with them when the process is killed.
 *
 * Who fetches something holds a lease: a request that is never answered, and whose signal aborts when
 * its sender dies or closes. What was claimed under a lease ends with it.
 *
 * @module
 */
import { isTandemError, textOf } from "../base/guard.ts";
import type { RequestCore } from "../channel/request_core.ts";
import type { ServerCore } from "../channel/server_core.ts";
import { type PrivateChannel, servePrivate } from "../channel/private.ts";
import type { HandleCore } from "../channel/handle_core.ts";
import { now } from "../runtime/timers.ts";
import { TandemError } from "../errors.ts";
import { corrupt } from "../codec/decoder.ts";
import { type Encoder, UserCodeError } from "../codec/encoder.ts";
import type { Claim, Endpoint } from "./endpoint.ts";
import {
  doneMessage,
  endReading,
  headerBytes,
  hostResponseBytes,
  Kind,
  partBytes,
  type Reading,
  readMessage,
  withMessage,
  writePortion,
} from "./message.ts";
import type { OutStream } from "./out_stream.ts";
import { refuse, replyMessage } from "./replies.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Each process that reads a stream here has one for its lease, and one for each item that it waits for.
 * There are up to 1,023 of them. The memory of a slot is used when it is needed.
 */
const hostSlots = 4_096;
/** Steps and values that are given to a stream. */
const hostRequestBytes = 2 ** 18;
/** How often to look whether others still find this host, in milliseconds: there may be a thousand. */
const lookInterval = 100;
/** What no receiver has claimed for so long, its receiver has died over. */
const unclaimedMilliseconds = 60_000;

interface Entry {
  readonly stream: OutStream | null;
  /** Lengths of the byte strings, the tree, the byte strings. */
  readonly parts: readonly Bytes[] | null;
  readonly claim: Claim;
  readonly addedAt: number;
  lease: number | null;
}

export class Host {
  /** What others find it by. */
  readonly name: string;
  readonly #endpoint: Endpoint;
  readonly #channel: PrivateChannel;
  readonly #server: ServerCore;
  readonly #entries: Map<number, Entry> = new Map();
  readonly #leases: Map<number, Set<number>> = new Map();
  #isLost = false;
  #lookedAt = -Infinity;
  #isClosed = false;

  /** @param number how many hosts this participant of the main channel has had before */
  constructor(endpoint: Endpoint, main: HandleCore, number: number) {
    this.#endpoint = endpoint;
    const options = {
      slots: hostSlots,
      maxRequestBytes: hostRequestBytes,
      maxResponseBytes: hostResponseBytes,
    };
    this.#channel = servePrivate(main, options, number);
    this.name = this.#channel.name;
    this.#server = this.#channel.server;
    // Who fetches keeps himself alive; this process has reasons of its own.
    this.#server.unref();
    void this.#run();
  }

  /** No process can fetch anything here any more, and another host has to take its place. */
  get isLost(): boolean {
    if (this.#isLost || this.#isClosed) return this.#isLost;
    const time = now();
    if (time - this.#lookedAt < lookInterval) return false;
    this.#lookedAt = time;
    // Where others do not find its server, they take this process for dead.
    if (this.#server.stats().servers === 0) this.#lose();
    return this.#isLost;
  }

  addStream(stream: OutStream, claim: Claim): number {
    return this.#add({ stream, parts: null, claim, addedAt: now(), lease: null });
  }

  addParcel(tree: Bytes, blobs: readonly Bytes[], claim: Claim): number {
    const lengths = new Uint8Array(blobs.length * 4);
    const view = new DataView(lengths.buffer);
    blobs.forEach(({ byteLength }, index) => view.setUint32(index * 4, byteLength, true));
    const parts = [lengths, tree, ...blobs];
    return this.#add({ stream: null, parts, claim, addedAt: now(), lease: null });
  }

  #add(entry: Entry): number {
    this.#dropUnclaimed();
    const id = this.#endpoint.nextEntry();
    this.#entries.set(id, entry);
    return id;
  }

  /** No process will find these any more; the streams among them go on. */
  withdraw(ids: Iterable<number>): void {
    for (const id of ids) this.#forget(id);
  }

  /** Streams are told; nobody will find what is dropped. */
  drop(ids: Iterable<number>, reason: TandemError): void {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (!entry) continue;
      this.#entries.delete(id);
      if (entry.lease !== null) this.#leases.get(entry.lease)?.delete(id);
      entry.stream?.end(reason);
    }
  }

  close(): void {
    const reason = new TandemError(
      "CANCELLED",
      "The stream was ended: the process that sends it has closed its service or connection",
    );
    this.#end(reason);
  }

  /** Its channel is damaged or was removed by others. */
  #lose(): void {
    if (this.#isClosed) return;
    this.#isLost = true;
    const reason = new TandemError(
      "CANCELLED",
      "The stream was ended: the private channel of the process that sends it is damaged or gone",
    );
    this.#end(reason);
  }

  #end(reason: TandemError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.drop([...this.#entries.keys()], reason);
    this.#channel.remove();
  }

  #dropUnclaimed(): void {
    const limit = now() - unclaimedMilliseconds;
    // In the order in which they were added.
    for (const [id, { claim, lease, addedAt }] of this.#entries) {
      if (addedAt > limit) break;
      if (claim === "receiver" && lease === null) {
        this.drop([id], new TandemError("CANCELLED", "The receiver never asked for the stream"));
      }
    }
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      await this.#server.consume({ hasRoom: true, take: (request) => this.#handle(request) });
      // Closed, which is how it ends.
    } catch {
      this.#lose();
    }
  }

  /** Never throws: what ends this wait ends the host. */
  #handle(request: RequestCore): void {
    try {
      const { reads } = this.#endpoint;
      const reading = readMessage(reads, request.bytes, false);
      try {
        this.#dispatch(request, reading);
      } finally {
        reads.forget();
        endReading();
      }
    } catch (error) {
      this.#refuse(request, error);
    }
  }

  #dispatch(request: RequestCore, reading: Reading): void {
    const { decoder, kind } = reading;
    switch (kind) {
      case Kind.lease:
        return this.#hold(request, decoder.unsigned());
      case Kind.claim: {
        const lease = decoder.unsigned();
        for (const id of decoder.list()) this.#claim(id as number, lease);
        return void request.reply(doneMessage());
      }
      case Kind.drop: {
        const id = decoder.unsigned();
        const entry = this.#entries.get(id);
        // What belongs to a call ends with it.
        if (entry?.stream || entry?.claim === "receiver") {
          this.drop([id], new TandemError("CANCELLED", "The receiver does not want the stream"));
        }
        return void request.reply(doneMessage());
      }
      case Kind.part: {
        const [lease, id, index, offset] = [
          decoder.unsigned(),
          decoder.unsigned(),
          decoder.unsigned(),
          decoder.unsigned(),
        ];
        const part = this.#claim(id, lease).parts?.[index];
        if (!part) throw corrupt("there is no such part");
        return replyPortion(request, part.subarray(offset, offset + partBytes));
      }
      case Kind.pull: {
        const [lease, id, step] = [decoder.unsigned(), decoder.unsigned(), decoder.unsigned()];
        const value = decoder.list();
        this.#endpoint.reads.finish(reading, undefined);
        const { stream } = this.#claim(id, lease);
        if (!stream) throw corrupt("it is no stream");
        return void this.#step(request, id, stream, step, value);
      }
    }
    throw corrupt(`a host takes no message of kind ${kind}`);
  }

  #claim(id: number, lease: number): Entry {
    const entry = this.#entries.get(id);
    const isOthers = entry && entry.lease !== null && entry.lease !== lease && entry.stream;
    if (!entry || isOthers) {
      throw new TandemError(
        "CANCELLED",
        "Cannot go on with a stream: it was ended, its call is over, or it was read by a service " +
          "that died",
      );
    }
    if (entry.lease === null) {
      const claimed = this.#leases.get(lease);
      if (!claimed) throw corrupt("there is no such lease");
      entry.lease = lease;
      claimed.add(id);
    }
    return entry;
  }

  #hold(request: RequestCore, lease: number): void {
    if (this.#leases.has(lease)) throw corrupt("there is such a lease already");
    this.#leases.set(lease, new Set());
    const { signal } = request;
    const end = () => {
      const claimed = this.#leases.get(lease);
      this.#leases.delete(lease);
      if (claimed) this.#endClaims(claimed, signal.reason);
      this.#acknowledge(request);
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
  }

  #endClaims(claimed: ReadonlySet<number>, reason: TandemError): void {
    for (const id of claimed) {
      const entry = this.#entries.get(id);
      // A long call may be handed to another service, which fetches it again.
      if (entry?.parts && entry.claim === "call") entry.lease = null;
      else this.drop([id], reason);
    }
  }

  /** Gives the slot back: no caller waits. Never throws. */
  #acknowledge(request: RequestCore): void {
    if (this.#isClosed) return;
    try {
      request.reply(doneMessage());
    } catch (error) {
      this.#refuse(request, error);
    }
  }

  /** Never rejects. */
  async #step(
    request: RequestCore,
    id: number,
    stream: OutStream,
    step: number,
    value: readonly unknown[],
  ): Promise<void> {
    try {
      const result = await stream.step(step, value.length > 0, value[0]);
      if (result.done) this.#forget(id);
      const kind = result.done ? Kind.returned : Kind.yielded;
      const item = result.value;
      const failed = this.#reply(request, kind, (encoder) => encoder.result(item));
      if (failed === undefined) return;
      // A getter of an item that throws is as good as the generator.
      if (failed instanceof UserCodeError) this.#throw(request, failed.thrown);
      else this.#refuse(request, failed);
    } catch (error) {
      this.#forget(id);
      this.#throw(request, error);
    }
  }

  /** Never throws. */
  #throw(request: RequestCore, error: unknown): void {
    let failed = this.#reply(request, Kind.thrown, (encoder) => encoder.thrown(error));
    if (failed !== undefined && !isTandemError(failed)) {
      // What was thrown cannot be looked at; that is all there is to tell.
      const shown = new Error(textOf(error));
      failed = this.#reply(request, Kind.thrown, (encoder) => encoder.thrown(shown));
    }
    if (failed !== undefined) this.#refuse(request, failed);
  }

  /** It has ended by itself. */
  #forget(id: number): void {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    if (entry && entry.lease !== null) this.#leases.get(entry.lease)?.delete(id);
  }

  /** Undefined: it has been sent, or no caller waits for it. */
  #reply(request: RequestCore, kind: number, write: (encoder: Encoder) => void): unknown {
    if (this.#isClosed) return undefined;
    const writes = this.#endpoint.writes("receiver");
    try {
      const isHeard = withMessage(
        writes,
        kind,
        0,
        hostResponseBytes,
        write,
        (encoder) => replyMessage(request, encoder),
      );
      if (!isHeard) writes.drop(nobodyWaits());
      return undefined;
    } catch (error) {
      writes.drop(nobodyWaits());
      return error ?? new Error("Nothing was thrown");
    }
  }

  #refuse(request: RequestCore, error: unknown): void {
    if (this.#isClosed || request.isAnswered) return;
    refuse(request, this.#endpoint, error, hostResponseBytes);
  }
}

/** Part of a long message, copied once, into the answer. */
function replyPortion(request: RequestCore, part: Bytes): void {
  const answer = request.allocate(headerBytes + part.byteLength);
  writePortion(part, answer);
  request.reply(answer);
}

/** For what an answer refers to that nobody has got. */
export function nobodyWaits(): TandemError {
  return new TandemError("CANCELLED", "The caller does not wait for the answer any more");
}
