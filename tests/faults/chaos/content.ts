/**
 * The content of requests and answers: their sender and receiver, and a pattern by which every byte can
 * be checked. The pattern is a piece of one long random text that all players have, so that making
 * and checking it cost no more than copying.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { mix, Random } from "./random.ts";

export const payloadBytesMax: number = 400 * 1024;

/** Of a request: client, number, length. Only the id of the call identifies a shorter one. */
export const requestHeadBytes = 12;
/** Of an answer: client, number, generation, slot, server, delivery, length. Or it is empty. */
export const answerHeadBytes = 28;

type Bytes = Uint8Array<ArrayBuffer>;

/** The call that a request belongs to. */
export interface RequestHead {
  readonly client: number;
  readonly number: number;
}

/** The delivery that an answer belongs to. */
export interface AnswerHead extends RequestHead {
  readonly generation: number;
  readonly slot: number;
  readonly server: number;
  readonly delivery: number;
}

/** Makes and checks messages. */
export class Content {
  readonly #text: Bytes;

  constructor(seed: number) {
    const random = new Random(seed, 0);
    const words = new Int32Array((offsetsMax + payloadBytesMax) / 4);
    for (let index = 0; index < words.length; index++) {
      words[index] = random.between(-(2 ** 31), 2 ** 31 - 1);
    }
    this.#text = new Uint8Array(words.buffer);
  }

  fillRequest(bytes: Uint8Array, { client, number }: RequestHead): void {
    bytes.set(this.#pattern(bytes.length, client, number));
    if (bytes.length < requestHeadBytes) return;
    writeWords(bytes, [client, number, bytes.length]);
  }

  /** Null: it is too short to say. */
  requestHead(bytes: Uint8Array): RequestHead | null {
    if (bytes.length < requestHeadBytes) return null;
    return { client: readWord(bytes, 0), number: readWord(bytes, 1) };
  }

  /** Whether every byte of a request is as its client sent it. */
  isRequest(bytes: Uint8Array, { client, number }: RequestHead): boolean {
    if (bytes.length < requestHeadBytes) {
      return areEqual(bytes, this.#pattern(bytes.length, client, number));
    }
    return readWord(bytes, 2) === bytes.length &&
      this.#isPattern(bytes, requestHeadBytes, client, number);
  }

  fillAnswer(bytes: Uint8Array, head: AnswerHead): void {
    if (bytes.length === 0) return;
    bytes.set(this.#pattern(bytes.length, ...answerKey(head)));
    const { client, number, generation, slot, server, delivery } = head;
    writeWords(bytes, [client, number, generation, slot, server, delivery, bytes.length]);
  }

  /** The header of an answer; null: the bytes are no answer. */
  answerHead(bytes: Uint8Array): AnswerHead | null {
    if (bytes.length < answerHeadBytes || readWord(bytes, 6) !== bytes.length) return null;
    const head = {
      client: readWord(bytes, 0),
      number: readWord(bytes, 1),
      generation: readWord(bytes, 2),
      slot: readWord(bytes, 3),
      server: readWord(bytes, 4),
      delivery: readWord(bytes, 5),
    };
    return this.#isPattern(bytes, answerHeadBytes, ...answerKey(head)) ? head : null;
  }

  #pattern(length: number, ...key: number[]): Bytes {
    const offset = mix(...key) % offsetsMax;
    return this.#text.subarray(offset, offset + length);
  }

  #isPattern(bytes: Uint8Array, from: number, ...key: number[]): boolean {
    const pattern = this.#pattern(bytes.length, ...key);
    return areEqual(bytes.subarray(from), pattern.subarray(from));
  }
}

/** Places in the text where a pattern may begin. */
const offsetsMax = 2 ** 21;

function answerKey(head: AnswerHead): number[] {
  return [head.generation, head.slot, head.server, head.delivery];
}

/** Of the few bytes of a request that is too short to name its call. */
export function hashOf(bytes: Uint8Array): number {
  return mix(bytes.length, ...bytes);
}

function areEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function readWord(bytes: Uint8Array, index: number): number {
  const at = 4 * index;
  return (bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24) >>> 0;
}

function writeWords(bytes: Uint8Array, words: readonly number[]): void {
  words.forEach((word, index) => {
    for (let byte = 0; byte < 4; byte++) bytes[4 * index + byte] = word >>> (8 * byte);
  });
}
