/**
 * Answers to calls from a queue. A call leaves the queue when the server has the answer and somebody listens to it:
 * after the loss of a server, a caller may come back later than its service.
 *
 * @module
 */
import { later } from "../../runtime/timers.ts";
import type { Bytes } from "../../transport/transport.ts";
import type { Link } from "../link.ts";
import type { Ticket } from "./ticket.ts";

/** Milliseconds between attempts to reach a caller. */
const pause = 500;
/** After so many, it counts as dead. */
const attemptsMax = 20;

interface Answer {
  readonly ticket: Ticket;
  readonly frame: Bytes;
  attempts: number;
  /** Under which the server says that nobody listens. */
  number: number;
  isUnheard: boolean;
}

export class Answers {
  readonly #link: Link;
  /** Subjects of answers that have not arrived for sure. */
  readonly #replies: Set<string> = new Set();
  /** Published since the server was last asked whether it has read them. */
  #published: Answer[] = [];
  /** Those of which the server is being asked. */
  #flushing: Answer[] = [];
  #isFlushing = false;
  #unheard: Answer[] = [];
  #cancelPause: (() => void) | null = null;
  #whenSettled: (() => void)[] = [];
  #isClosed = false;

  constructor(link: Link) {
    this.#link = link;
  }

  add(ticket: Ticket, frame: Bytes): void {
    if (this.#isClosed) return void this.#link.answer(ticket.replyTo, frame);
    this.#replies.add(ticket.replyTo);
    this.#publish({ ticket, frame, attempts: 0, number: 0, isUnheard: false });
  }

  /** Whether the call whose answer goes there is done, and the answer on its way. */
  has(replyTo: string): boolean {
    return this.#replies.has(replyTo);
  }

  #publish(answer: Answer): void {
    const link = this.#link;
    answer.isUnheard = false;
    answer.attempts += 1;
    answer.number = link.add({
      arrived: (_, { headers }) => {
        if (headers?.code === 503) answer.isUnheard = true;
      },
    });
    try {
      link.publish(answer.ticket.replyTo, answer.frame, link.subjectOf(answer.number));
    } catch {
      answer.isUnheard = true;
    }
    this.#published.push(answer);
    if (!this.#isFlushing) void this.#flush();
  }

  /** Never rejects. */
  async #flush(): Promise<void> {
    this.#isFlushing = true;
    while (this.#published.length > 0 && !this.#isClosed) {
      const answers = this.#flushing = this.#published;
      this.#published = [];
      let isFlushed = true;
      try {
        await this.#link.flush();
      } catch {
        isFlushed = false;
      }
      this.#flushing = [];
      for (const answer of answers) this.#flushed(answer, isFlushed);
    }
    this.#isFlushing = false;
    this.#settle();
  }

  #flushed(answer: Answer, isFlushed: boolean): void {
    this.#link.remove(answer.number);
    if (this.#isClosed) return;
    const isHeard = isFlushed && !answer.isUnheard;
    if (isHeard || answer.attempts >= attemptsMax) {
      this.#replies.delete(answer.ticket.replyTo);
      return answer.ticket.drop();
    }
    this.#unheard.push(answer);
    this.#cancelPause ??= later(pause, () => {
      this.#cancelPause = null;
      for (const one of this.#unheard.splice(0)) this.#publish(one);
    });
  }

  #settle(): void {
    if (!this.#isSettled) return;
    for (const resolve of this.#whenSettled.splice(0)) resolve();
  }

  get #isSettled(): boolean {
    const count = this.#published.length + this.#flushing.length + this.#unheard.length;
    return this.#isClosed || count === 0;
  }

  /** Resolves when all callers have their answers, or are gone. */
  async settled(): Promise<void> {
    if (this.#isSettled) return;
    await new Promise<void>((resolve) => this.#whenSettled.push(resolve));
  }

  /** Answers that were published are on the way before the calls leave the queue, on the same link. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelPause?.();
    for (const answer of [...this.#flushing, ...this.#published.splice(0)]) {
      this.#link.remove(answer.number);
      if (!answer.isUnheard) answer.ticket.drop();
    }
    this.#settle();
  }
}
