/**
 * A board of a node in parts that fit into messages.
 *
 * @module
 */
import { boardBytesMax } from "../../node/registry/bounds.ts";
import type { BoardPart } from "./frames.ts";

/** A part never takes more bytes. */
const partBytesMax = 2 ** 18;
/** The smallest part, the last one apart, so that a few bytes do not pass for many parts. */
const partBytesMin = 2 ** 12;
const partsMax: number = boardBytesMax / partBytesMin;

/** A board in parts that fit into messages of so many bytes. */
export function* partsOf(
  bytes: Uint8Array,
  version: number,
  messageBytes: number,
): Iterable<BoardPart> {
  const size = Math.max(partBytesMin, Math.min(partBytesMax, messageBytes));
  const count = Math.max(1, Math.ceil(bytes.byteLength / size));
  for (let index = 0; index < count; index++) {
    yield { version, index, count, bytes: bytes.subarray(index * size, (index + 1) * size) };
  }
}

/** The parts of the board that is coming from one node. */
export class Gathering {
  /** Of that board. */
  #next = 0;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  /** The whole board, if this was the last part of it. */
  add({ version, index, count, bytes }: BoardPart): Uint8Array | null {
    if (index === 0) {
      this.#parts = [];
      this.#bytes = 0;
      this.#next = version;
    } else if (version !== this.#next || index !== this.#parts.length) {
      // A part is missing. The next sign of life says so.
      this.#parts = [];
      return null;
    }
    this.#bytes += bytes.byteLength;
    const isWrong = count > partsMax || index >= count || this.#bytes > boardBytesMax ||
      (index < count - 1 && bytes.byteLength < partBytesMin);
    if (isWrong) {
      this.#parts = [];
      return null;
    }
    this.#parts.push(bytes.slice());
    if (this.#parts.length < count) return null;
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.byteLength;
    }
    this.#parts = [];
    return whole;
  }
}
