/**
 * Topics through NATS: a topic is a subject. A value reaches each reader at most once, and nobody counts the readers.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { keepAlive, later } from "../runtime/timers.ts";
import { TopicInbox } from "../transport/topic_inbox.ts";
import type { Bytes, Inbox, InboxTerms, TopicEnd } from "../transport/transport.ts";
import { Frame, frameBytes, frameKind, valueFrame } from "./frames.ts";
import { type Link, LinkSubscription } from "./link.ts";

/**
 * How long values that wait for the first connection keep the process alive, in milliseconds. A publisher that is closed
 * waits as long for it.
 */
const farewellMilliseconds = 5_000;
/** How many bytes may wait for the first connection. */
const waitingBytesMax = 2 ** 26;

export class NatsTopic implements TopicEnd {
  readonly path: string;
  readonly #acquire: () => Link;
  readonly #subject: string;
  readonly #maxBytes: number;
  #publisher: Publisher | null = null;
  #isClosed = false;

  constructor(acquire: () => Link, subject: string, path: string, maxBytes: number) {
    this.#acquire = acquire;
    this.#subject = subject;
    this.path = path;
    this.#maxBytes = maxBytes;
  }

  publish(message: Bytes): number {
    this.#checkOpen("publish");
    this.#publisher ??= new Publisher(this.#acquire(), this.#subject);
    this.#publisher.publish(message);
    return NaN;
  }

  subscribe(terms: InboxTerms): Inbox {
    this.#checkOpen("subscribe");
    return subscribe(this.#acquire(), this.#subject, terms, this.#maxBytes);
  }

  /** A subject has no name that would outlive its readers. */
  unlink(): boolean {
    this.#checkOpen("unlink");
    return false;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#publisher?.close();
  }

  #checkOpen(tried: string): void {
    if (!this.#isClosed) return;
    throw new TandemError("CLOSED", `Cannot ${tried}: the topic is closed here; open it again`);
  }
}

/** Sends values. Those that come before the first connection wait for it. */
class Publisher {
  readonly #link: Link;
  readonly #subject: string;
  #waiting: Bytes[] = [];
  #waitingBytes = 0;
  #flushing: Promise<void> | null = null;
  readonly #giveUp: AbortController = new AbortController();
  readonly #number: number;
  /** The server does not let this program publish. */
  #refusal: TandemError | null = null;

  /** @param link acquired for it, which it releases */
  constructor(link: Link, subject: string) {
    this.#link = link;
    this.#subject = subject;
    this.#number = link.add({
      arrived() {},
      refused: (refused, error) => {
        if (refused === subject) this.#refusal = error;
      },
    });
  }

  /** @throws {TandemError} `TOO_LARGE`, `DISCONNECTED`, `PERMISSION`, `BUSY` */
  publish(message: Bytes): void {
    const link = this.#link;
    if (this.#refusal) throw this.#refusal;
    const max = link.maxPayload - frameBytes;
    if (message.byteLength > max) {
      throw new TandemError(
        "TOO_LARGE",
        `Cannot publish ${message.byteLength} bytes: the NATS server takes ${max}; raise its max_payload`,
      );
    }
    const frame = valueFrame(message);
    const isFirst = !link.wasUp && link.obstacle === null;
    if (!isFirst && this.#flushing === null) return link.publish(this.#subject, frame);
    if (this.#waitingBytes + frame.byteLength > waitingBytesMax) {
      throw new TandemError(
        "BUSY",
        "Cannot publish: too many values wait for the first connection to NATS; wait a moment",
      );
    }
    this.#waiting.push(frame);
    this.#waitingBytes += frame.byteLength;
    this.#flushing ??= this.#flush();
  }

  /** Never rejects. */
  async #flush(): Promise<void> {
    const release = keepAlive();
    const cancel = later(farewellMilliseconds, release);
    try {
      await this.#link.opened(this.#giveUp.signal);
      for (const frame of this.#waiting) this.#link.publish(this.#subject, frame);
    } catch {
      // There is no connection, as the next values say; these are lost like those of a lost link.
    } finally {
      this.#waiting = [];
      this.#waitingBytes = 0;
      this.#flushing = null;
      cancel();
      release();
    }
  }

  close(): void {
    this.#link.remove(this.#number);
    if (this.#flushing === null) return this.#link.release();
    const cancel = later(farewellMilliseconds, () => this.#giveUp.abort());
    void this.#flushing.then(() => {
      cancel();
      this.#link.release();
    });
  }
}

/** @param link acquired for the reader, which releases it */
function subscribe(link: Link, subject: string, terms: InboxTerms, maxBytes: number): Inbox {
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  ready.catch(() => {});
  const inbox = new ReadyInbox(terms, ready, () => {
    link.unsubscribe(subscription);
    link.remove(losses);
    reject(new TandemError("CLOSED", "Cannot get values: the subscription is closed"));
    link.release();
  });
  const subscription: LinkSubscription = new LinkSubscription(
    subject,
    undefined,
    (data) => {
      if (frameKind(data) !== Frame.value) return;
      const message = data.subarray(frameBytes);
      if (message.byteLength > maxBytes) inbox.tooLong();
      else inbox.offer(message);
    },
    (error) => {
      reject(error);
      inbox.finish(error);
    },
  );
  const losses = link.add({
    arrived() {},
    lost: () =>
      inbox.missed(
        new TandemError(
          "DISCONNECTED",
          `Cannot get all values: the link to NATS (${link.place}) was lost; subscribe again`,
        ),
      ),
  });
  link.subscribe(subscription);
  void whenReached(link, () => inbox.hasEnded).then(resolve, reject);
  return inbox;
}

/** Resolves when the server has read the subscription. */
async function whenReached(link: Link, hasEnded: () => boolean): Promise<void> {
  while (!hasEnded()) {
    await link.opened();
    try {
      return await link.flush();
    } catch {
      // The link was lost again.
    }
  }
}

class ReadyInbox extends TopicInbox {
  readonly ready: Promise<void>;

  constructor(terms: InboxTerms, ready: Promise<void>, onEnd: () => void) {
    super(terms, onEnd);
    this.ready = ready;
  }
}
