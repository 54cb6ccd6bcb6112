/**
 * The values of a topic that wait in this process for one reader.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { keepAlive } from "../runtime/timers.ts";
import type { Bytes, Inbox, InboxTerms } from "./transport.ts";

interface Waiting {
  resolve(bytes: Bytes): void;
  reject(error: TandemError): void;
}

export class TopicInbox implements Inbox {
  readonly #terms: InboxTerms;
  readonly #onEnd: () => void;
  readonly #waiting: Waiting[] = [];
  #values: Bytes[] = [];
  dropped = 0;
  /** Comes after the values that wait. */
  #overflow: TandemError | null = null;
  #end: TandemError | null = null;

  /** @param onEnd runs when no further value is wanted */
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

  get hasEnded(): boolean {
    return this.#end !== null;
  }

  /** A value has come that is longer than the reader takes. */
  tooLong(): void {
    if (this.#end || this.#overflow) return;
    this.dropped += 1;
    this.missed(
      new TandemError(
        "BUSY",
        "Cannot get a value: it is longer than maxMessageBytes of this topic; give all processes the same",
      ),
    );
  }

  /** Values may have been missed, so the reader that must not miss any gets the reason after those that wait. */
  missed(reason: TandemError): void {
    if (this.#terms.overflow !== "end" || this.#end || this.#overflow) return;
    if (this.#waiting.length > 0) return void this.finish(reason);
    this.#overflow = reason;
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
