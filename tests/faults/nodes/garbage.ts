/**
 * What a node sends that is out of order: batches, frames and boards that are wrong in some way, from a little to
 * wholly.
 *
 * @module
 */
import { Control, controlFlag, Head, headBytes } from "../../../src/node/hall/batch.ts";
import type { Place } from "../../../src/channel/roster.ts";
import { Grammar } from "../cost/grammar.ts";
import type { Bytes } from "../cost/tree.ts";
import type { Random } from "../hostile/random.ts";

const numbers = [0, 1, 2, 3, 7, 2 ** 15, 2 ** 16, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const utf8 = new TextEncoder();

/** A head that is taken for one: of this sender, with the next number. */
export interface Standing {
  readonly mark: number;
  readonly place: Place;
  link: number;
  sequence: number;
}

export class Garbage {
  readonly #random: Random;
  readonly #standing: Standing;
  /** Ports of others: what is sent to them may not end them. */
  readonly #callable: readonly string[];
  readonly #ids: readonly string[];
  readonly #sent: Bytes[] = [];

  /**
   * @param callable the parts of ports' ids after the `#`
   * @param ids of other nodes
   */
  constructor(
    random: Random,
    standing: Standing,
    callable: readonly string[],
    ids: readonly string[],
  ) {
    this.#random = random;
    this.#standing = standing;
    this.#callable = callable;
    this.#ids = ids;
  }

  /** Something to put into a mailbox. */
  post(): Bytes {
    const random = this.#random;
    const post = random.pick([
      () => this.#noise(random.below(random.pick([8, 64, 1_000, 2 ** 15 + 1]))),
      () => this.#headed(this.#noise(random.below(300))),
      () => this.#headed(this.#messages([this.#noise(random.below(100))])),
      () => this.#headed(this.#messages(this.#controls())),
      () => this.#changed(this.#headed(this.#messages([this.#frame()]))),
      // What is read most deeply comes most often.
      ...Array.from({ length: 4 }, () => () => this.#headed(this.#messages(this.#frames()))),
      () => this.#sent.length > 0 ? random.pick(this.#sent) : this.#headed(this.#noise(4)),
    ])();
    if (this.#sent.length > 40) this.#sent.splice(random.below(40), 1);
    this.#sent.push(post);
    return post.subarray(0, 2 ** 15);
  }

  /** A batch with a head that mostly fits. */
  #headed(body: Bytes): Bytes {
    const [random, standing] = [this.#random, this.#standing];
    if (random.oneIn(8)) standing.link = (standing.link + random.pick([1, 1, 1, 5])) >>> 0;
    standing.sequence = random.oneIn(10) ? this.#number() : (standing.sequence + 1) >>> 0;
    const batch = new Uint8Array(headBytes + body.byteLength);
    const words = new Uint32Array(8);
    const { position, epochLow, epochHigh } = standing.place;
    words[Head.mark] = standing.mark;
    words[Head.position] = position;
    words[Head.epochLow] = epochLow;
    words[Head.epochHigh] = epochHigh;
    words[Head.link] = standing.link;
    words[Head.sequence] = standing.sequence;
    words[Head.taken] = this.#number();
    words[Head.flags] = random.oneIn(4) ? this.#number() : random.below(2);
    batch.set(new Uint8Array(words.buffer));
    batch.set(body, headBytes);
    return batch;
  }

  #messages(messages: readonly Bytes[]): Bytes {
    const random = this.#random;
    const parts: number[] = [];
    for (const message of messages) {
      const length = random.oneIn(30) ? this.#number() : message.byteLength;
      const flag = message[0]! < 4 && message.byteLength < 300 ? controlFlag : 0;
      const word = (length | flag) >>> 0;
      parts.push(word & 255, (word >> 8) & 255, (word >> 16) & 255, word >>> 24, ...message);
      while (parts.length % 4 !== 0) parts.push(0);
    }
    return Uint8Array.from(parts);
  }

  /** Messages of the hall. One says that it is another node. */
  #controls(): Bytes[] {
    const random = this.#random;
    const { hello, broken } = Control;
    const name = random.pick([...this.#ids, "", "x".repeat(200), "intruder"]);
    return [random.pick<Bytes>([
      utf8.encode(`${String.fromCharCode(hello)}${name}\nintruder\n1\nbun`) as Bytes,
      Uint8Array.of(hello, ...this.#noise(random.below(40))),
      Uint8Array.of(broken, ...this.#noise(random.pick([0, 4, 4, 9]))),
      // After a farewell, nothing of this sender is read any more.
      Uint8Array.of(random.oneIn(50) ? Control.farewell : random.pick([0, 4, 99])),
    ])];
  }

  #frames(): Bytes[] {
    return Array.from({ length: 1 + this.#random.below(5) }, () => this.#frame());
  }

  /** A frame of any kind, whose fields mostly have the right types. */
  #frame(): Bytes {
    const random = this.#random;
    const id = () => cbor(random.pick([random.below(50), random.below(5_000), this.#number()]));
    const nobody = () =>
      text(random.pick(["", "s", "zzzzzzzz.1", "constructor", `a.s${random.below(99)}`]));
    const anybody = () => random.oneIn(2) ? nobody() : text(random.pick(this.#callable));
    const list = () => Uint8Array.of(0x81, ...this.#value());
    const reason = () => this.#value();
    const fields: readonly (() => Uint8Array[])[] = [
      () => [nobody(), list()],
      () => [id(), anybody(), this.#method(), list(), Uint8Array.of(0x80), Uint8Array.of(0xf6)],
      () => [id(), this.#value()],
      () => [id(), Uint8Array.of(0xf5), this.#value()],
      () => [id(), text("PORT_DIED"), text("no"), random.oneIn(2) ? Uint8Array.of(0xf6) : reason()],
      () => [id()],
      () => [id(), anybody()],
      () => [id()],
      () => [id(), reason()],
      () => [nobody(), reason()],
      () => [nobody(), text("anything"), list()],
      () => [id(), anybody()],
      () => [id(), text(random.pick(this.#ids)), id(), text("zzzzzzzz"), this.#value(), list()],
    ];
    const kind = random.below(fields.length + 2);
    const items = fields[kind]?.() ?? [this.#value()];
    if (random.oneIn(8)) items[random.below(items.length)] = this.#value();
    return this.#maybeChanged(
      Uint8Array.from([0x80 | (items.length + 1), kind + 1, ...items.flatMap((item) => [...item])]),
    );
  }

  #method(): Uint8Array {
    return text(this.#random.pick(["twice", "then", "__proto__", "toString", ""]));
  }

  /** A value, or something like one. */
  #value(): Uint8Array {
    const random = this.#random;
    if (random.oneIn(3)) return cbor(this.#number());
    return new Grammar(random, random.pick([20, 100, 2_000])).message().subarray(8);
  }

  /** Something like a board: the own one with changes, another's, or noise. */
  board(own: Bytes): Bytes {
    const random = this.#random;
    const id = random.pick(this.#ids);
    const key = text("dwellers");
    return random.pick<() => Bytes>([
      () => this.#noise(random.below(random.pick([10, 1_000, 100_000]))),
      () => this.#noise(random.pick([5, 15]) * 2 ** 20),
      () => own.slice(0, random.below(own.byteLength)),
      () => this.#changed(own.slice()),
      () => this.#changed(own.slice()),
      () => new Grammar(random, 5_000).message().slice(8),
      () =>
        Uint8Array.from([
          0x85,
          1,
          ...text(id),
          ...text("n"),
          ...text("abcdefgh"),
          0x81,
          0x41,
          ...key,
        ]),
      () => Uint8Array.from([0x85, 1, ...text(id), ...text("n"), ...text("abcdefgh"), 0x80]),
      () => own,
    ])();
  }

  #maybeChanged(bytes: Bytes): Bytes {
    return this.#random.oneIn(6) ? this.#changed(bytes) : bytes;
  }

  #changed(bytes: Bytes): Bytes {
    const random = this.#random;
    for (let left = 1 + random.below(4); left > 0 && bytes.byteLength > 0; left--) {
      bytes[random.below(bytes.byteLength)] = random.below(256);
    }
    return bytes;
  }

  #noise(length: number): Bytes {
    const random = this.#random;
    const noise = new Uint8Array(length);
    for (let at = 0; at < length; at += 1 + random.below(1 + length / 1_000)) {
      noise[at] = random.below(256);
    }
    return noise;
  }

  #number(): number {
    return this.#random.oneIn(2) ? this.#random.pick(numbers) : this.#random.below(2 ** 32);
  }
}

function cbor(number: number): Uint8Array {
  if (number < 24) return Uint8Array.of(number);
  return Uint8Array.of(
    0x1a,
    number >>> 24,
    (number >> 16) & 255,
    (number >> 8) & 255,
    number & 255,
  );
}

function text(value: string): Uint8Array {
  const bytes = utf8.encode(value);
  const { byteLength } = bytes;
  const head = byteLength < 24 ? [0x60 | byteLength] : [0x79, byteLength >> 8, byteLength & 255];
  return Uint8Array.of(...head, ...bytes);
}
