/**
 * A call on its way into the queue. It is published again until the server has said that it is stored. The id with
 * which it is published makes that harmless, as long as the server remembers it; else a mark keeps a method that must
 * not run twice from running twice.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import type { Bytes } from "../../transport/transport.ts";
import type { ClientMessage } from "../client.ts";
import { setSentAgain } from "../frames.ts";
import { isFull, type Refusal } from "../jetstream.ts";
import type { Link, Numbered } from "../link.ts";

/** Ticks without a word of the server until it is published again. */
const silentTicksMax = 4;
/** How often that is done for a caller that has given up, because what is stored has to be removed. */
const attemptsForNothing = 5;

/** What has become of it. */
export interface StoringOwner {
  /**
   * Runs before each attempt: writes into the data how much time is left.
   *
   * @returns the headers; null: the time is over
   */
  prepare(): Readonly<Record<string, string>> | null;
  stored(stream: string, sequence: number): void;
  /** The queue has no room. */
  full(): void;
  /** There is no queue. */
  absent(): void;
  failed(error: TandemError): void;
}

/** What is published. */
export interface Publication {
  readonly subject: string;
  readonly data: Bytes;
}

export class Storing implements Numbered {
  readonly #link: Link;
  readonly #publication: Publication;
  readonly #owner: StoringOwner;
  readonly #number: number;
  #silentTicks = 0;
  #attempts = 0;
  #isSent = false;
  /** The server has said nothing of the last attempt. */
  #isUnknown = false;
  #isUnwanted = false;

  constructor(link: Link, publication: Publication, owner: StoringOwner) {
    this.#link = link;
    this.#publication = publication;
    this.#owner = owner;
    this.#number = link.add(this);
    this.#publish();
  }

  #publish(): void {
    const { subject, data } = this.#publication;
    const headers = this.#owner.prepare();
    if (headers === null) return this.close();
    this.#silentTicks = 0;
    this.#attempts += 1;
    // A server that was started again may have forgotten the id, and a service may have had the call by now.
    if (this.#isUnknown) setSentAgain(data);
    try {
      this.#link.publish(subject, data, this.#link.subjectOf(this.#number), headers);
      this.#isSent = this.#isUnknown = true;
    } catch {
      // The link has just been lost.
      this.#isSent = false;
    }
  }

  /** The caller does not wait any longer. */
  unwanted(): void {
    this.#isUnwanted = true;
  }

  close(): void {
    this.#link.remove(this.#number);
  }

  tick(): void {
    if (!this.#link.isUp) return;
    this.#silentTicks += 1;
    if (this.#isSent && this.#silentTicks <= silentTicksMax) return;
    if (this.#isUnwanted && this.#attempts >= attemptsForNothing) return this.close();
    this.#publish();
  }

  lost(): void {
    if (this.#link.isOver) return this.close();
    this.#isSent = false;
  }

  refused(subject: string, error: TandemError): void {
    if (subject !== this.#publication.subject) return;
    this.close();
    this.#owner.failed(error);
  }

  arrived(data: Bytes, message: ClientMessage): void {
    if (message.headers?.code === 503) {
      this.#isUnknown = false;
      // While the leader of the stream changes, nobody listens either.
      if (this.#attempts <= silentTicksMax) return;
      this.close();
      return this.#owner.absent();
    }
    const answer = readAnswer(data);
    if (answer === null) return;
    const { error, stream, seq } = answer;
    if (!error) {
      this.close();
      if (typeof stream === "string" && typeof seq === "number") this.#owner.stored(stream, seq);
      return;
    }
    if (isFull(error)) {
      this.close();
      return this.#owner.full();
    }
    // It may go away: a cluster elects a leader, for example.
    if (error.code === 503) {
      this.#isUnknown = false;
      return;
    }
    this.close();
    this.#owner.failed(
      new TandemError(
        "NO_SPACE",
        `Cannot send a request: the queue of NATS (${this.#link.place}) does not take it: ` +
          JSON.stringify(error.description ?? ""),
      ),
    );
  }
}

interface Acknowledgement {
  readonly error?: Refusal;
  readonly stream?: unknown;
  readonly seq?: unknown;
}

function readAnswer(data: Bytes): Acknowledgement | null {
  try {
    return Object(JSON.parse(new TextDecoder().decode(data))) as Acknowledgement;
  } catch {
    return null;
  }
}
