/**
 * Topics in shared memory. A topic is a channel on which nobody calls: its servers are the readers, and its
 * clients the publishers. Each reader has a private channel with a slot for each value that may wait for it.
 * A publisher posts to all of them, which never waits, and a reader takes values only as it is asked for
 * them. So a reader that is slow, stopped or dead fills its own channel and holds up nobody.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import { waitSettings } from "../channel/call_settings.ts";
import { ClientCore } from "../channel/client_core.ts";
import { connectPrivate, type PrivateChannel, servePrivate } from "../channel/private.ts";
import { rendezvous } from "../channel/rendezvous.ts";
import { ServerCore } from "../channel/server_core.ts";
import { TandemError } from "../errors.ts";
import { now } from "../runtime/timers.ts";
import type { Bytes, Inbox, InboxTerms, Overflow, TopicEnd, TopicTerms } from "./transport.ts";

/**
 * Beyond the buffer. Each publisher that is stopped or dies in the middle of a post keeps a slot until it
 * goes on or is repaired; so does the value that the reader is just taking, and the mark of an overflow.
 */
const spareSlots = 16;

/** A private channel carries no answers, so their longest length says what the reader wants. */
const overflows: readonly Overflow[] = ["drop-oldest", "drop-newest", "end"];

/** How often a publisher looks for readers that have died, in milliseconds. */
const lookInterval = 100;

/** Comes after the last value before an overflow. Every message is longer. */
const overflowMark: Bytes = new Uint8Array(0);

/** How often a publisher makes room for one value, while others fill it. */
const attemptsMax = 64;

export class SharedTopic implements TopicEnd {
  readonly #target: string;
  readonly #terms: TopicTerms;
  #main: ClientCore | null = null;
  readonly #outlets: Map<string, Outlet> = new Map();
  /** The number of participants that had joined at the last look. */
  #joins = -1;
  #lookedAt = -Infinity;
  /** A reader has not opened its private channel yet. */
  #hasNewcomer = false;
  #isClosed = false;

  constructor(target: string, terms: TopicTerms) {
    // Not the file of a channel: a service of that name would be a reader otherwise.
    this.#target = `${target}.topic`;
    this.#terms = terms;
  }

  get path(): string {
    return this.#open().path!;
  }

  publish(message: Bytes): number {
    this.#look();
    let count = 0;
    for (const [name, outlet] of this.#outlets) {
      try {
        if (outlet.offer(message)) count += 1;
      } catch {
        // The reader is gone, or has damaged its channel.
        this.#forget(name);
      }
    }
    return count;
  }

  subscribe(terms: InboxTerms): Inbox {
    this.#checkOpen();
    return new SharedInbox(this.#target, this.#terms, terms);
  }

  unlink(): boolean {
    this.#checkOpen();
    const server = ServerCore.open(this.#target, rendezvous(this.#terms.mode));
    try {
      return server.unlink();
    } finally {
      server.close();
      this.#leave();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#leave();
  }

  #leave(): void {
    for (const name of [...this.#outlets.keys()]) this.#forget(name);
    this.#main?.close();
    this.#main = null;
    this.#joins = -1;
  }

  #forget(name: string): void {
    this.#outlets.get(name)?.close();
    this.#outlets.delete(name);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw closed("publish: the topic is closed here; open it again");
  }

  #open(): ClientCore {
    this.#checkOpen();
    return this.#main ??= ClientCore.open(this.#target, rendezvous(this.#terms.mode));
  }

  /** Finds the readers that have come and gone. */
  #look(): void {
    const joins = this.#open().joins;
    // Others have removed the topic. Its next readers meet at a new one.
    if (joins < 0) this.#leave();
    const time = now();
    const isDue = time - this.#lookedAt > lookInterval;
    if (joins === this.#joins && !this.#hasNewcomer && !isDue) return;
    const main = this.#open();
    this.#joins = main.joins;
    if (isDue) {
      this.#lookedAt = time;
      // The repairer of a killed reader removes its files.
      main.sweep();
    }
    this.#hasNewcomer = false;
    const living: Set<string> = new Set();
    for (const { role, privatePath } of main.members()) {
      if (role !== "server") continue;
      living.add(privatePath);
      if (!this.#outlets.has(privatePath)) this.#connect(main, privatePath);
    }
    for (const name of [...this.#outlets.keys()]) if (!living.has(name)) this.#forget(name);
  }

  #connect(main: ClientCore, name: string): void {
    try {
      this.#outlets.set(name, new Outlet(connectPrivate(main, name)));
    } catch (error) {
      // Not made yet, or not complete. Other failures are tried again at the next look for the dead.
      const code = codeOf(error);
      this.#hasNewcomer ||= code === "NOT_FOUND" || code === "CORRUPT";
    }
  }
}

/** The way to one reader. */
class Outlet {
  readonly #client: ClientCore;
  readonly #buffer: number;
  readonly #overflow: Overflow;
  /** The reader has missed a value, which ends it, but is not told yet. */
  #owesMark = false;
  #isMarked = false;

  constructor(client: ClientCore) {
    this.#client = client;
    this.#buffer = Math.max(1, client.slots - spareSlots);
    this.#overflow = overflows[client.maxResponseBytes] ?? "drop-newest";
  }

  /**
   * Hands over a value, or does what the reader wants when it has no room for it.
   *
   * @returns whether the reader got it
   * @throws {TandemError} the codes of {@linkcode ClientCore.post}: the reader is gone
   */
  offer(message: Bytes): boolean {
    if (this.#isMarked) return false;
    if (this.#owesMark) return this.#mark();
    if (this.#makeRoom() && this.#post(message)) return true;
    return this.#overflow === "end" && this.#mark();
  }

  #makeRoom(): boolean {
    const client = this.#client;
    if (client.hasRoom(this.#buffer)) return true;
    if (this.#overflow !== "drop-oldest") return false;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      client.dropOldest();
      if (client.hasRoom(this.#buffer)) return true;
    }
    return false;
  }

  #post(message: Bytes): boolean {
    try {
      return this.#client.post(message);
    } catch (error) {
      // Not for this reader: it takes shorter values, or there is no memory.
      const code = codeOf(error);
      if (code === "TOO_LARGE" || code === "NO_SPACE") return false;
      throw error;
    }
  }

  #mark(): false {
    this.#owesMark = true;
    this.#isMarked = this.#post(overflowMark);
    return false;
  }

  close(): void {
    this.#client.close();
  }
}

class SharedInbox implements Inbox {
  readonly #main: ServerCore;
  readonly #private: PrivateChannel;
  readonly #terms: InboxTerms;
  #taken = 0;
  #dropped = 0;
  /** Why it has ended. */
  #end: TandemError | null = null;

  constructor(target: string, topic: TopicTerms, terms: InboxTerms) {
    this.#terms = terms;
    this.#main = ServerCore.open(target, rendezvous(topic.mode));
    try {
      this.#private = servePrivate(this.#main, {
        slots: terms.buffer + spareSlots,
        maxRequestBytes: topic.maxBytes,
        maxResponseBytes: overflows.indexOf(terms.overflow),
      });
    } catch (error) {
      this.#main.close();
      throw error;
    }
    this.#main.unref();
    // Code that was replaced subscribes no longer.
    this.#main.onReplaced = () => this.close();
    void this.#watch();
  }

  /** Learns that the topic is removed, and repairs what others leave when they die. Never rejects. */
  async #watch(): Promise<void> {
    try {
      await this.#main.consume({ hasRoom: true, take: (request) => void request.reply("") });
    } catch {
      this.#finish(
        new TandemError(
          "NOT_FOUND",
          "Cannot get a value: the topic was unlinked, or its file removed; subscribe again",
        ),
      );
    }
  }

  async next(): Promise<Bytes> {
    if (this.#end) throw this.#end;
    let bytes: Bytes;
    try {
      bytes = await this.#private.server.receive(1, waitSettings(undefined), ([request]) => {
        const copy = request!.bytes.slice();
        request!.reply("");
        return copy;
      });
    } catch (error) {
      throw this.#end ?? error;
    }
    this.#taken += 1;
    if (bytes.byteLength > 0) return bytes;
    throw this.#finish(
      new TandemError(
        "BUSY",
        `Cannot get a value: the reader was too slow, and more than ${this.#terms.buffer} values waited ` +
          "for it; give it a larger buffer, or let it drop values",
      ),
    );
  }

  get dropped(): number {
    const { server } = this.#private;
    if (!this.#end) this.#dropped = this.#count(server);
    return this.#dropped;
  }

  #count(server: ServerCore): number {
    const { replies, busy } = server.stats();
    // Publishers take the oldest values as servers do. Other values were never sent.
    return this.#terms.overflow === "drop-oldest" ? Math.max(0, replies - this.#taken) : busy;
  }

  close(): void {
    this.#finish(closed("get a value: the subscription is closed"));
  }

  #finish(reason: TandemError): TandemError {
    if (this.#end) return this.#end;
    this.#dropped = this.#count(this.#private.server);
    this.#end = reason;
    this.#private.remove();
    this.#main.close();
    return reason;
  }
}

function closed(tried: string): TandemError {
  return new TandemError("CLOSED", `Cannot ${tried}`);
}
