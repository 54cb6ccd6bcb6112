/**
 * JetStream, as far as limits and redelivery need it: requests to its interface, and messages that are stored.
 *
 * These are its plain messages over the package's own link. The client's package for it would start timers that
 * keep programs alive, and its consumers do not outlive a connection.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Bytes } from "../transport/transport.ts";
import type { ClientMessage } from "./client.ts";
import { type Link, tickMilliseconds } from "./link.ts";

/** How long the server may take for an answer. */
const answerMilliseconds = 5_000;

/** Why the server has not done what it was asked for. */
export interface Refusal {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** Numbers of errors, as the server has them. */
export const ErrorNumber = {
  notEnabledForAccount: 10039,
  noMessage: 10037,
  streamNameInUse: 10058,
  /** A stream has no room, among others. */
  storeFailed: 10077,
  insufficientResources: 10023,
  messageNotFound: 10057,
  streamNotFound: 10059,
  wrongLastSequence: 10071,
  /** The same, while a cluster has not yet agreed on a message before it. */
  wrongLastSequenceSoon: 10164,
  replicasNotSupported: 10074,
  notEnabled: 10076,
  noSuitablePeers: 10005,
  /** Of this module: nobody listens to the subject. */
  unheard: -1,
} as const;

interface Answer {
  readonly error?: Refusal;
  readonly [name: string]: unknown;
}

/** A stored message. */
export interface Stored {
  readonly sequence: number;
  readonly data: Bytes;
  /** It says that there is nothing any more: the server or a program has removed what was there. */
  readonly isRemoval: boolean;
}

/** The server has refused a request. */
export class RefusedRequest extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.description ?? `error ${refusal.code}`);
    this.refusal = refusal;
  }
}

/** Whether the server has refused a request for that reason. */
export function isRefusal(error: unknown, ...numbers: readonly number[]): boolean {
  return error instanceof RefusedRequest && numbers.includes(error.refusal.err_code ?? 0);
}

/** Whether the server has no room. It says so with the code 503, as if that went away by itself. */
export function isFull({ err_code, description = "" }: Refusal): boolean {
  return err_code === ErrorNumber.insufficientResources ||
    err_code === ErrorNumber.storeFailed && description.includes("maximum");
}

const unheard: Refusal = {
  code: 503,
  err_code: ErrorNumber.unheard,
  description: "nobody answers for JetStream",
};

const nothing: Bytes = new Uint8Array(0);

/** The number of the message that a new one follows, or it is refused. */
const expectedLast = "Nats-Expected-Last-Subject-Sequence";

/** Whether another message has been stored meanwhile. */
function isOvertaken(error: unknown): boolean {
  const { wrongLastSequence, wrongLastSequenceSoon } = ErrorNumber;
  return isRefusal(error, wrongLastSequence, wrongLastSequenceSoon);
}

/** Whether headers say that a message is the removal of what was stored. */
export function isRemoval(read: (name: string) => string): boolean {
  return read("Nats-Marker-Reason") !== "" || read("KV-Operation") !== "";
}

export class JetStream {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  /**
   * Asks the server for something.
   *
   * @throws {RefusedRequest}
   * @throws {TandemError} `DISCONNECTED` when there is no answer: it may have been done; `PERMISSION`
   */
  async ask(subject: string, question?: object): Promise<Answer> {
    const data = question ? new TextEncoder().encode(JSON.stringify(question)) : nothing;
    return readAnswer(await this.#exchange(`$JS.API.${subject}`, data));
  }

  /**
   * Acknowledges a message of a consumer, and waits until the server has noted it. Without the answer, a server that
   * is killed may deliver the message again as if it were the first time.
   *
   * @param subject where the message said that it is acknowledged
   * @throws as {@linkcode ask}
   */
  async acknowledge(subject: string): Promise<void> {
    await this.#exchange(subject, new TextEncoder().encode("+ACK"));
  }

  /**
   * Stores a message, if the last one of its subject still is the one with that number.
   *
   * @param lifetime seconds until the server removes it; undefined: it stays
   * @returns its number; null: another one has been stored meanwhile
   * @throws as {@linkcode ask}
   */
  async store(
    subject: string,
    data: Bytes,
    last: number,
    lifetime?: number,
  ): Promise<number | null> {
    const headers: Record<string, string> = { [expectedLast]: String(last) };
    if (lifetime !== undefined) headers["Nats-TTL"] = `${lifetime}s`;
    try {
      const { seq } = readAnswer(await this.#exchange(subject, data, headers));
      return seq as number;
    } catch (error) {
      if (isOvertaken(error)) return null;
      throw error;
    }
  }

  /**
   * Removes what is stored at a subject, in the form that key-value clients know.
   *
   * @param lifetime seconds for which the removal stays known
   * @param last only if the last message still is the one with that number
   * @throws as {@linkcode ask}
   */
  async remove(subject: string, lifetime: number, last?: number): Promise<void> {
    const headers: Record<string, string> = {
      "KV-Operation": "DEL",
      "Nats-TTL": `${lifetime}s`,
      ...(last !== undefined && { [expectedLast]: String(last) }),
    };
    try {
      readAnswer(await this.#exchange(subject, nothing, headers));
    } catch (error) {
      if (last === undefined || !isOvertaken(error)) throw error;
    }
  }

  /**
   * The last message of a subject, as the leader of the stream has it.
   *
   * @throws as {@linkcode ask}
   */
  async last(stream: string, subject: string): Promise<Stored | null> {
    try {
      const { message } = await this.ask(`STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
      const { seq, data = "", hdrs = "" } = message as {
        seq: number;
        data?: string;
        hdrs?: string;
      };
      const lines = atob(hdrs).split("\r\n");
      const read = (name: string) => {
        const line = lines.find((one) => one.toLowerCase().startsWith(`${name.toLowerCase()}:`));
        return line?.slice(name.length + 1).trim() ?? "";
      };
      return { sequence: seq, data: bytesOf(atob(data)), isRemoval: isRemoval(read) };
    } catch (error) {
      if (isRefusal(error, ErrorNumber.noMessage)) return null;
      throw error;
    }
  }

  #exchange(
    subject: string,
    data: Bytes,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Bytes> {
    const link = this.#link;
    const { promise, resolve, reject } = Promise.withResolvers<Bytes>();
    let ticks = 0;
    const fail = (error: unknown) => {
      link.remove(number);
      reject(error);
    };
    const number = link.add({
      arrived: (data: Bytes, message: ClientMessage) => {
        if (message.headers?.code === 503) return fail(new RefusedRequest(unheard));
        link.remove(number);
        resolve(data.slice());
      },
      lost: () => fail(unanswered(link.place, "the link was lost")),
      refused: (refused, error) => {
        if (refused === subject) fail(error);
      },
      // Counted, because this process may have been stopped meanwhile.
      tick: () => {
        ticks += 1;
        if (ticks * tickMilliseconds > answerMilliseconds) {
          fail(unanswered(link.place, `there was no answer within ${answerMilliseconds / 1000} s`));
        }
      },
    });
    try {
      link.publish(subject, data, link.subjectOf(number), headers);
    } catch (error) {
      fail(error);
    }
    return promise;
  }
}

function bytesOf(binary: string): Bytes {
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function readAnswer(data: Bytes): Answer {
  const answer = JSON.parse(new TextDecoder().decode(data)) as Answer;
  if (answer.error) throw new RefusedRequest(answer.error);
  return answer;
}

function unanswered(place: string, why: string): TandemError {
  return new TandemError(
    "DISCONNECTED",
    `Cannot use JetStream of NATS (${place}): ${why}`,
  );
}
