/**
 * Random messages, most of which are valid up to their end.
 *
 * @module
 */
import { collidingBigints, collidingDoubles } from "../collisions.ts";
import type { Random } from "../hostile/random.ts";
import { type Bytes, Tree } from "./tree.ts";

/** Generates one message from the grammar of the codec. */
export class Grammar {
  readonly #random: Random;
  readonly #tree = new Tree();
  #left: number;
  #depth = 0;
  #met = 0;

  constructor(random: Random, bytes: number) {
    this.#random = random;
    this.#left = bytes;
  }

  message(): Bytes {
    this.#value();
    return this.#tree.message;
  }

  /** A number of items, seldom an impossible one. */
  #count(): number {
    const random = this.#random;
    if (random.oneIn(400)) return random.pick([2 ** 20, 2 ** 31, 2 ** 32 - 1]);
    if (this.#depth > 900 || this.#tree.length > this.#left) return 0;
    return random.pick([0, 1, 1, 2, 3, 10, random.below(300), random.below(this.#left / 4 | 0)]);
  }

  /** A collection: its count, then all of its items. */
  #collection(major: number, write: (index: number) => void): void {
    const count = this.#count();
    this.#tree.head(major, count);
    if (count > 2 ** 19) return;
    this.#depth += 1;
    for (let index = 0; index < count; index++) {
      if (this.#tree.length > this.#left) {
        // Most of the remaining items are short.
        if (major === 5) this.#tree.text(String(index));
        this.#tree.bytes(0);
      } else write(index);
    }
    this.#depth -= 1;
  }

  #text(): string {
    const random = this.#random;
    if (random.oneIn(4)) return random.pick(["", "a", "__proto__", "constructor", "length", "0"]);
    if (random.oneIn(3)) return String(random.below(2 ** 32));
    return random.pick(["k", "é", "€", "\u{1f600}"]).repeat(
      random.below(random.oneIn(9) ? 3000 : 9),
    ) +
      random.below(2 ** 24);
  }

  #key(): void {
    if (this.#random.oneIn(30)) this.#tree.tag(64003).bytes(0x42, 0, 0xd8);
    else this.#tree.text(this.#text());
  }

  #value(): void {
    const [random, tree] = [this.#random, this.#tree];
    switch (random.below(this.#depth < 1 ? 8 : 29)) {
      case 0:
      case 8:
      case 9:
        this.#met += 1;
        return this.#collection(4, () => this.#value());
      case 1:
      case 10:
        this.#met += 1;
        return this.#collection(5, () => (this.#key(), this.#value()));
      case 2:
        this.#met += 1;
        tree.tag(258);
        return this.#collection(4, () => this.#value());
      case 3:
        this.#met += 1;
        tree.tag(259);
        return this.#collection(5, () => (this.#value(), this.#value()));
      case 4: {
        this.#met += 1;
        tree.tag(64004).bytes(0x82).double(random.pick([0, 5, 2 ** 32 - 1, 2 ** 31, 1e6]));
        return this.#collection(5, () => {
          tree.text(
            String(random.pick([random.below(5), random.below(2 ** 32), random.below(1e6)])),
          );
          this.#value();
        });
      }
      case 5: {
        this.#met += 1;
        tree.tag(64005).bytes(0x86).text(
          random.pick(["Error", "TypeError", "AggregateError", "DOMException", "x", "toString"]),
        );
        tree.text(this.#text()).text(this.#text()).text(this.#text());
        if (random.oneIn(2) || this.#depth > 900) tree.bytes(0x80);
        else {
          tree.bytes(0x81);
          this.#depth += 1;
          this.#value();
          this.#depth -= 1;
        }
        return this.#collection(5, () => (this.#key(), this.#value()));
      }
      case 6: {
        // A chain as deep as can be, or deeper.
        const depth = random.pick([10, 500, 990, 1010]);
        this.#met += depth;
        for (let count = depth; count > 0; count--) tree.bytes(random.pick([0x81, 0x81, 0xc1]));
        return void tree.bytes(0);
      }
      case 7: {
        this.#met += 1;
        tree.tag(258);
        const keys = random.oneIn(2) ? collidingDoubles(2_000) : collidingBigints(2_000);
        tree.head(4, keys.length);
        for (const key of keys) typeof key === "number" ? tree.double(key) : tree.bigint(key);
        return;
      }
      case 11:
        return void tree.tag(29).head(0, random.below(Math.max(1, this.#met + 2)));
      case 12:
        tree.tag(21066).bytes(0x82);
        this.#met += 1;
        return void tree.text(
          random.pick(["(?<a>b)", "\\p{L}", "[^\\w]", "\\p{RGI_Emoji}", "(", "a"]).repeat(
            random.below(30),
          ),
        ).text(random.pick(["", "u", "iu", "v", "zz"]));
      case 13:
        return void tree.bigint(BigInt(random.below(2 ** 32)) << BigInt(random.below(5_000)));
      case 14: {
        this.#met += 1;
        const length = random.below(64) * random.pick([1, 8]);
        tree.tag(random.pick([68, 69, 71, 72, 77, 84, 86, 64001, 64002])).head(2, length);
        return void tree.bytes(...new Array<number>(length).fill(1));
      }
      case 22: {
        this.#met += 1;
        const length = random.below(64) * random.pick([1, 8]);
        tree.tag(64010).tag(random.pick([72, 77, 78, 86, 86, 85])).head(2, length);
        return void tree.bytes(...new Array<number>(length).fill(1));
      }
      case 23:
        this.#met += 1;
        tree.tag(64011);
        return this.#collection(4, () => random.oneIn(2) ? tree.bytes(0xe0) : this.#value());
      case 24:
        return void tree.tag(64009).head(0, random.pick([0, 2 ** 16, 2 ** 31]));
      case 15:
        this.#met += 1;
        return void tree.tag(64000).double(random.pick([0, NaN, 1e300, -1]));
      case 16:
        this.#met += 1;
        tree.tag(64006);
        return this.#value();
      case 17:
        this.#met += 1;
        return void tree.tag(64008).bytes(0x82, random.below(3), 0);
      case 18:
        this.#met += 1;
        return void tree.tag(64007).head(0, random.pick([0, 1024, 2 ** 31]));
      case 19:
        return void tree.text(this.#text());
      case 20:
        return void tree.double(random.pick([0.5, NaN, Infinity, -0, random.below(2 ** 31) / 7]));
      case 21:
        // Nothing of the grammar.
        return void (random.oneIn(100) && tree.bytes(random.below(256)), tree.bytes(0xf6));
      default:
        return void tree.bytes(
          random.pick([0, 1, 0x20, 0xf4, 0xf5, 0xf6, 0xf7, 0x18, 0x17].slice(0, 7)),
        );
    }
  }
}
