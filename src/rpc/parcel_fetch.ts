/**
 * Fetches long messages, part by part.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { corrupt } from "../codec/reader.ts";
import { blobBytesMin } from "../codec/tags.ts";
import { treeTooLarge } from "../codec/tree_budget.ts";
import { now } from "../runtime/timers.ts";
import type { AnswerReader, Bytes, RequestTerms } from "../transport/transport.ts";
import { assemblies, type Assembly } from "./assemblies.ts";
import { headerBytes, Kind, type Parcel, type Reading, readMessage } from "./message.ts";
import { checkLength } from "./terms.ts";
import type { Announcement } from "./parcels.ts";
import { readRefusal } from "./replies.ts";
import type { FetchTerms, Side } from "./side.ts";
import type { HostErrors } from "./step_reader.ts";

/** The first allocation for a byte string, which doubles as parts arrive. */
const growthBytes = 2 ** 22;
/** A host may send shorter parts than are asked for, if it can send no longer ones, but none so short. */
const shortPartMin = 2 ** 10;
/** Parts that are fetched at once. */
const lanes = 4;

/** The host of a long message, as its fetcher sees it. */
export interface PartSource extends HostErrors {
  readonly side: Side;
  /** How much of a byte string is asked for at once. */
  readonly partBytes: number;
  /** Asks for a part of a parcel's byte string `index`, from `offset` on. Never throws. */
  askForPart(
    id: number,
    index: number,
    offset: number,
    terms: RequestTerms,
    reader: AnswerReader,
  ): void;
  /** The parcel is no longer needed. */
  drop(id: number): void;
}

/**
 * Fetches a long message.
 *
 * @param terms `deadline` is for the whole message, not for each part
 * @throws {TandemError} `TOO_LARGE` when it is longer than this side allows; `BUSY` when its sender is
 * silent while others need the memory; `SERVER_DIED`
 */
export async function fetchParcel(
  source: PartSource,
  { id, count, treeBytes, totalBytes }: Announcement,
  { deadline = Infinity, signal, onPart }: FetchTerms,
): Promise<Parcel> {
  const { limits } = source.side;
  checkLength(limits, totalBytes, "take");
  if (treeBytes > limits.maxTreeBytes) throw treeTooLarge("take", limits.maxTreeBytes);
  // A byte array takes six bytes of the tree, and short ones lie within the tree.
  if (count * 6 > treeBytes || count * blobBytesMin > totalBytes) {
    throw corrupt("a long message has impossible parts");
  }
  const assembly = assemblies.begin();
  const fetch = new ParcelFetch(source, id, deadline, assembly, onPart);
  if (signal?.aborted) assembly.end(reasonOf(signal));
  const stopListening = signal && onAbort(signal, () => assembly.end(reasonOf(signal)));
  let left = totalBytes;
  const take = async (index: number, length: number) => {
    left -= length;
    if (left < 0) throw corrupt("a long message is longer than its announcement");
    return await fetch.byteString(index, length);
  };
  try {
    const lengths = await fetch.byteString(0, count * 4);
    const view = new DataView(lengths.buffer);
    const tree = await take(1, treeBytes);
    const blobs: Bytes[] = [];
    for (let index = 0; index < count; index++) {
      blobs.push(await take(index + 2, view.getUint32(index * 4, true)));
    }
    return { tree, blobs };
  } finally {
    stopListening?.();
    // Ends the other requests when a part has failed.
    assembly.end();
    source.drop(id);
  }
}

class ParcelFetch {
  readonly #source: PartSource;
  readonly #id: number;
  readonly #deadline: number;
  readonly #assembly: Assembly;
  readonly #onPart: (() => void) | undefined;

  constructor(
    source: PartSource,
    id: number,
    deadline: number,
    assembly: Assembly,
    onPart: (() => void) | undefined,
  ) {
    this.#source = source;
    this.#id = id;
    this.#deadline = deadline;
    this.#assembly = assembly;
    this.#onPart = onPart;
  }

  /** Fetches one byte string, several parts of it at once. */
  async byteString(index: number, length: number): Promise<Bytes> {
    const { partBytes } = this.#source;
    let bytes: Bytes = new Uint8Array(Math.min(length, growthBytes));
    let next = 0;
    const take = (part: Bytes, offset: number, wanted: number) => {
      if (part.byteLength < Math.min(wanted, shortPartMin)) {
        throw corrupt("a part of a long message has another length");
      }
      const end = offset + part.byteLength;
      if (end > bytes.byteLength) {
        // The memory grows with the parts, because the rest may never arrive.
        const grown = Math.min(length, Math.max(bytes.byteLength * 2, end));
        bytes = new Uint8Array(bytes.buffer.transfer(grown));
      }
      bytes.set(part, offset);
    };
    const lane = async () => {
      while (next < length) {
        let offset = next;
        const end = Math.min(length, offset + partBytes);
        next = end;
        while (offset < end) {
          await this.#assembly.ask(this.#deadline);
          await this.#part(index, offset, (part) => {
            const wanted = end - offset;
            // The host may send more, since it does not know how much is wanted.
            const used = part.byteLength > wanted ? part.subarray(0, wanted) : part;
            take(used, offset, wanted);
            offset += used.byteLength;
          });
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(lanes, Math.ceil(length / partBytes)) }, lane));
    return bytes;
  }

  #part(index: number, offset: number, take: (part: Bytes) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = this.#assembly;
      let hasFailed = false;
      const reader: AnswerReader = {
        read: (answer, isPrivate) => {
          try {
            const part = readPortion(this.#source.side, answer, isPrivate);
            this.#assembly.arrived(part.byteLength);
            this.#onPart?.();
            take(part);
            resolve();
          } catch (error) {
            reject(this.#source.explainRefusal(error));
          }
        },
        fail: (error) => {
          hasFailed = true;
          reject(this.#source.explain(error));
        },
      };
      const timeout = Math.max(0, this.#deadline - now());
      this.#source.askForPart(this.#id, index, offset, { timeout, signal }, reader);
      // The host may be gone already.
      if (!hasFailed) this.#assembly.asked();
    });
  }
}

/** The bytes of an answer; @throws its error, if the answer is a refusal */
function readPortion(side: Side, answer: Bytes, isPrivate: boolean): Bytes {
  readMessage(side.reads, answer, isPrivate, checkPortion, undefined);
  return answer.subarray(headerBytes);
}

function checkPortion({ kind, decoder }: Reading): void {
  if (kind === Kind.refused) throw readRefusal(decoder);
  if (kind !== Kind.portion) throw corrupt(`a part of a long message has kind ${kind}`);
  decoder.finish();
}
