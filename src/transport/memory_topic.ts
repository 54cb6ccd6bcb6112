/**
 * Topics within one thread, for unit tests. They keep the promises of topics in shared memory.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { keepAlive } from "../runtime/timers.ts";
import type { Bytes, Inbox, InboxTerms, TopicEnd } from "./transport.ts";

/** The readers of each topic. */
const topics: Map<string, Set<MemoryInbox>> = new Map();

export class MemoryTopic implements TopicEnd {
  readonly path: string;
  #isClosed = false;

  constructor(target: string) {
    this.path = target;
  }

  publish(message: Bytes): number {
    this.#checkOpen();
    let count = 0;
    for (const inbox of topics.get(this.path) ?? []) if (inbox.offer(message)) count += 1;
    return count;
  }

  subscribe(terms: InboxTerms): Inbox {
    this.#checkOpen();
    const inboxes = topics.get(this.path) ?? new Set();
    topics.set(this.path, inboxes);
    const inbox = new MemoryInbox(terms, () => {
      inboxes.delete(inbox);
      if (inboxes.size === 0 && topics.get(this.path) === inboxes) topics.delete(this.path);
    });
    inboxes.add(inbox);
    return inbox;
  }

  unlink(): boolean {
    this.#checkOpen();
    const inboxes = topics.get(this.path);
    for (const inbox of [...inboxes ?? []]) {
      inbox.finish(
        new TandemError(
          "NOT_FOUND",
          "Cannot get a value: the topic was unlinked; subscribe again",
        ),
      );
    }
    return inboxes !== undefined;
  }

  close(): void {
    this.#isClosed = true;
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new TandemError("CLOSED", "Cannot publish: the topic is closed here; open it again");
  }
}

interface Waiting {
  resolve(bytes: Bytes): void;
  reject(error: TandemError): void;
}

class MemoryInbox implements Inbox {
  readonly #terms: InboxTerms;
  readonly #onEnd: () => void;
  readonly #waiting: Waiting[] = [];
  #values: Bytes[] = [];
  dropped = 0;
  /** Comes after the values that wait. */
  #overflow: TandemError | null = null;
  #end: TandemError | null = null;

  constructor(terms: InboxTerms, onEnd: () => void) {
    this.#terms = terms;
    this.#onEnd = onEnd;
  }

  /** Returns whether the reader gets it. */
  offer(message: Bytes): boolean {
    if (this.#end || this.#overflow) return false;
    const next = this.#waiting.shift();
    if (next) next.resolve(message.slice());
    else if (!this.#makeRoom()) return false;
    else this.#values.push(message.slice());
    return true;
  }

  #makeRoom(): boolean {
    const { buffer, overflow } = this.#terms;
    if (this.#values.length < buffer) return true;
    this.dropped += 1;
    if (overflow === "end") {
      this.#overflow = new TandemError(
        "BUSY",
        `Cannot get a value: the reader was too slow, and more than ${buffer} values waited for it; ` +
          "give it a larger buffer, or let it drop values",
      );
    }
    if (overflow !== "drop-oldest") return false;
    this.#values.shift();
    return true;
  }

  async next(): Promise<Bytes> {
    if (this.#end) throw this.#end;
    const value = this.#values.shift();
    if (value) return value;
    if (this.#overflow) throw this.finish(this.#overflow);
    const release = keepAlive();
    try {
      return await new Promise<Bytes>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    } finally {
      release();
    }
  }

  close(): void {
    this.finish(new TandemError("CLOSED", "Cannot get a value: the subscription is closed"));
  }

  finish(reason: TandemError): TandemError {
    if (this.#end) return this.#end;
    this.#end = reason;
    this.#values = [];
    this.#onEnd();
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    return reason;
  }
}
