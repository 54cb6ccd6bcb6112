/**
 * Calls of native functions in Node that go around most of Node-API, which takes five nanoseconds for each
 * number and seventeen for each buffer: the arguments lie in memory that the function reads.
 * native/node/quick.zig is the other side.
 *
 * @module
 */
import type { Kind, Signature } from "./backend.ts";
import type { QuickFunction } from "./node_addon.ts";

// The layout of the block, in doubles. The words, which are integers and addresses, come first.
const doublesAt = 8;
const resultAt = 12;
const scratchAt = 13;
const scratchBytes = 64;
const wordsMax = 8;

/** The buffer of a view that is remembered is no longer than this, because it stays alive. */
const keptBytesMax = 2 ** 16;

/** The letter of each kind in the shape of a signature; the others are not in any shape. */
const letters: Readonly<Partial<Record<Kind, string>>> = {
  u32: "w",
  f64: "d",
  buffer: "v",
  bytes: "b",
};

/** Where the bytes of a view are, until its buffer is detached. */
type AddressOf = (view: ArrayBufferView) => number;

/** Passes arguments to one function. */
class Block {
  readonly #addressOf: AddressOf;
  readonly #numbers: Float64Array;
  readonly #scratch: Uint8Array;
  readonly #scratchAddress: number;
  /** The views that the words had last: most functions get the same one again and again. */
  readonly #views: (ArrayBufferView | null)[] = new Array(wordsMax).fill(null);
  readonly #byteLengths: number[] = new Array(wordsMax).fill(0);
  readonly #addresses: Float64Array = new Float64Array(wordsMax);

  constructor(memory: ArrayBuffer, addressOf: AddressOf) {
    this.#addressOf = addressOf;
    this.#numbers = new Float64Array(memory);
    this.#scratch = new Uint8Array(memory, scratchAt * 8, scratchBytes);
    this.#scratchAddress = addressOf(this.#scratch);
  }

  word(place: number, value: number): void {
    if (typeof value !== "number") throw noNumber();
    this.#numbers[place] = value;
  }

  double(place: number, value: number): void {
    if (typeof value !== "number") throw noNumber();
    this.#numbers[doublesAt + place] = value;
  }

  view(place: number, view: ArrayBufferView): void {
    // The view of a detached buffer has no length.
    this.#numbers[place] =
      view === this.#views[place] && view.byteLength === this.#byteLengths[place]
        ? this.#addresses[place]!
        : this.#find(place, view);
  }

  /** Copies few bytes: V8 keeps short arrays on its heap, and would have to move each one to tell its address. */
  bytes(place: number, bytes: Uint8Array, length: number): void {
    if (!(length <= scratchBytes && ArrayBuffer.isView(bytes))) return this.view(place, bytes);
    const scratch = this.#scratch;
    // `set` refuses the array of a detached buffer, which has no bytes.
    if (length > 0 && length === bytes.length) scratch.set(bytes);
    else for (let index = 0; index < length; index++) scratch[index] = bytes[index]!;
    this.#numbers[place] = this.#scratchAddress;
  }

  get result(): number {
    return this.#numbers[resultAt]!;
  }

  #find(place: number, view: ArrayBufferView): number {
    const address = this.#addressOf(view);
    const { byteLength, buffer } = view;
    // A part of a buffer may belong to a channel, which is closed when the program has forgotten it.
    if (byteLength > 0 && byteLength === buffer.byteLength && byteLength <= keptBytesMax) {
      this.#views[place] = view;
      this.#byteLengths[place] = byteLength;
      this.#addresses[place] = address;
    }
    return address;
  }
}

function noNumber(): TypeError {
  return new TypeError("a native function takes a number here");
}

type View = ArrayBufferView;

/** Its parameters are those of its shape. */
type Call = (...values: never[]) => number;

/**
 * Written out for each shape: one function for all would take as long as Node-API. Each calls `native` itself,
 * because V8 calls a function of Node-API directly only where it has seen no other one.
 */
const shapes: Readonly<Record<string, (block: Block, native: () => void) => Call>> = {
  "": (block, native) => () => {
    native();
    return block.result;
  },
  ww: (block, native) => (a: number, b: number) => {
    block.word(0, a);
    block.word(1, b);
    native();
    return block.result;
  },
  d: (block, native) => (a: number) => {
    block.double(0, a);
    native();
    return block.result;
  },
  dw: (block, native) => (a: number, b: number) => {
    block.double(0, a);
    block.word(0, b);
    native();
    return block.result;
  },
  dww: (block, native) => (a: number, b: number, c: number) => {
    block.double(0, a);
    block.word(0, b);
    block.word(1, c);
    native();
    return block.result;
  },
  dwww: (block, native) => (a: number, b: number, c: number, d: number) => {
    block.double(0, a);
    block.word(0, b);
    block.word(1, c);
    block.word(2, d);
    native();
    return block.result;
  },
  dwwww: (block, native) => (a: number, b: number, c: number, d: number, e: number) => {
    block.double(0, a);
    block.word(0, b);
    block.word(1, c);
    block.word(2, d);
    block.word(3, e);
    native();
    return block.result;
  },
  dwwwwwd:
    (block, native) =>
    (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => {
      block.double(0, a);
      block.word(0, b);
      block.word(1, c);
      block.word(2, d);
      block.word(3, e);
      block.word(4, f);
      block.double(1, g);
      native();
      return block.result;
    },
  dwv: (block, native) => (a: number, b: number, c: View) => {
    block.double(0, a);
    block.word(0, b);
    block.view(1, c);
    native();
    return block.result;
  },
  dvw: (block, native) => (a: number, b: View, c: number) => {
    block.double(0, a);
    block.view(0, b);
    block.word(1, c);
    native();
    return block.result;
  },
  ddv: (block, native) => (a: number, b: number, c: View) => {
    block.double(0, a);
    block.double(1, b);
    block.view(0, c);
    native();
    return block.result;
  },
  dbwwdv:
    (block, native) => (a: number, b: Uint8Array, c: number, d: number, e: number, f: View) => {
      block.double(0, a);
      block.bytes(0, b, c);
      block.word(1, c);
      block.word(2, d);
      block.double(1, e);
      block.view(3, f);
      native();
      return block.result;
    },
  dbwwdvwv:
    (block, native) =>
    (a: number, b: Uint8Array, c: number, d: number, e: number, f: View, g: number, h: View) => {
      block.double(0, a);
      block.bytes(0, b, c);
      block.word(1, c);
      block.word(2, d);
      block.double(1, e);
      block.view(3, f);
      block.word(4, g);
      block.view(5, h);
      native();
      return block.result;
    },
  dwwwdvwv:
    (block, native) =>
    (a: number, b: number, c: number, d: number, e: number, f: View, g: number, h: View) => {
      block.double(0, a);
      block.word(0, b);
      block.word(1, c);
      block.word(2, d);
      block.double(1, e);
      block.view(3, f);
      block.word(4, g);
      block.view(5, h);
      native();
      return block.result;
    },
  dwwwbww: (block, native) =>
  (
    a: number,
    b: number,
    c: number,
    d: number,
    e: Uint8Array,
    f: number,
    g: number,
  ) => {
    block.double(0, a);
    block.word(0, b);
    block.word(1, c);
    block.word(2, d);
    block.bytes(3, e, f);
    block.word(4, f);
    block.word(5, g);
    native();
    return block.result;
  },
};

/**
 * The quick form of a function; null: it has none.
 *
 * @param bind binds the function, whose arguments lie in its block
 */
export function quickCall(
  { parameters }: Signature,
  addressOf: AddressOf,
  bind: () => QuickFunction,
): Call | null {
  const make = shapes[parameters.map((kind) => letters[kind] ?? "?").join("")];
  if (!make) return null;
  const native = bind();
  return make(new Block(native.block, addressOf), native);
}
