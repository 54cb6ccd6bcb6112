/**
 * One text for all that a state is: two states with the same text go on in the same way.
 *
 * @module
 */

/** What is no part of a state: memory that is written before it is read, and what only counts. */
const left = new Set([
  "stock",
  "_batch",
  "dropped",
  "_refused",
  "effort",
  "_retry",
  "appended",
  "_appendedBefore",
  "_hops",
]);

/** Names what a simulated object is. */
interface Keyed {
  readonly simKey: string;
}

export class Digest {
  readonly #known: Map<object, number> = new Map();
  #text = "";

  get text(): string {
    return this.#text;
  }

  add(value: unknown): void {
    if (value === null || typeof value !== "object") {
      this.#text += typeof value === "function" ? "f," : `${String(value)},`;
      return;
    }
    const known = this.#known.get(value);
    if (known !== undefined) {
      this.#text += `@${known},`;
      return;
    }
    this.#known.set(value, this.#known.size);
    if (ArrayBuffer.isView(value)) return this.#addBytes(value as Uint8Array);
    if ("simKey" in value) this.#text += `<${(value as Keyed).simKey}>`;
    else if (Array.isArray(value)) this.#addAll("[", value);
    else if (value instanceof Set) this.#addAll("{", value);
    else if (value instanceof Map) {
      for (const [key, each] of value) {
        this.add(key);
        this.add(each);
      }
      this.#text += ";";
    } else if (isBatch(value)) {
      this.#addBytes(value.bytes.subarray(32, value.length));
      this.add(value.next);
    } else {
      for (const [name, each] of Object.entries(value)) if (!left.has(name)) this.add(each);
      this.#text += "|";
    }
  }

  #addAll(mark: string, values: Iterable<unknown>): void {
    this.#text += mark;
    for (const each of values) this.add(each);
  }

  #addBytes(bytes: ArrayBufferView): void {
    const text = String(bytes);
    this.#text += text.length > 2_000 ? `h${hashOf(text)},` : `${text},`;
  }
}

/** 53 bits. */
export function hashOf(text: string): number {
  let [low, high] = [0x811c9dc5, 0x1b873593];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code ^ (high >>> 15), 0x85ebca6b);
  }
  return (high & 0x1f_ffff) * 2 ** 32 + (low >>> 0);
}

interface BatchLike {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly next: unknown;
}

function isBatch(value: object): value is BatchLike {
  return "payload" in value && "bytes" in value && "next" in value;
}
