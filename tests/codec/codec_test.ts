/** The codec: values in, the same values out; and bytes in, an error with a code out. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { decode as decodeCbor } from "cbor2";
import { connect, TandemError } from "../../mod.ts";
import { Decoder } from "../../src/codec/decoder.ts";
import { corrupt, noBlobs } from "../../src/codec/reader.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import { blobBytesMin } from "../../src/codec/tags.ts";
import { BlobList, wireVersion } from "../../src/rpc/message.ts";
import { assertSame, decode, encode, hooks, roundTrip } from "../support/codec_helper.ts";
import type { Api } from "../fixtures/typed.ts";
import { assertThrowsCode, pattern, runtimes, test } from "../support/harness.ts";
import { startService } from "../support/rpc_helper.ts";
import { newTarget } from "../support/harness.ts";

const views = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;

test("every kind of value comes back as it was", () => {
  const cycle: Record<string, unknown> = { name: "cycle" };
  cycle["self"] = cycle;
  const shared = { once: true };
  const mapCycle = new Map<unknown, unknown>();
  mapCycle.set(mapCycle, new Set([mapCycle]));
  const errorCycle = new Error("circular");
  errorCycle.cause = { errorCycle };
  const sparse = new Array(2 ** 32 - 1);
  sparse[7] = "seven";
  sparse[2 ** 32 - 2] = "last";
  const deep: unknown[] = [];
  for (let depth = 0, inner = deep; depth < 900; depth++) inner.push(inner = []);
  const many = Array.from({ length: 5_000 }, (_, index) => ({ index, shared }));
  const values: unknown[] = [
    undefined,
    null,
    true,
    false,
    0,
    -0,
    1,
    -1,
    23,
    24,
    255,
    256,
    65_535,
    65_536,
    2 ** 31,
    -(2 ** 31) - 1,
    2 ** 53,
    Number.MAX_VALUE,
    Number.MIN_VALUE,
    NaN,
    Infinity,
    -Infinity,
    0n,
    -1n,
    2n ** 64n - 1n,
    2n ** 64n,
    -(2n ** 64n),
    -(2n ** 64n) - 1n,
    2n ** 5000n + 1n,
    "",
    "plain",
    "ä€😀".repeat(100),
    "\ufeffbegins with a mark",
    "\ud800",
    "a\udc00b".repeat(3_000),
    "\0",
    new Date(0),
    new Date(-8.64e15),
    new Date(1_234.567),
    new Date(NaN),
    /a\/b[\]\u{1f600}]/dgimsuy,
    new RegExp(""),
    Object(1),
    Object(-0),
    Object("boxed"),
    Object(true),
    Object(2n ** 65n),
    [],
    [1, , 3, undefined],
    [, ,],
    Object.assign([1, 2], { extra: true, "-1": 0 }),
    // An object without a prototype gets the usual one, as with structuredClone.
    structuredClone("a-b".match(/(?<first>\w)-/)),
    sparse,
    {},
    { "": 1, "__proto__x": 2 },
    JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toString": 2}'),
    { "\ud800": "a key that is no Unicode" },
    new Map<unknown, unknown>([[{}, 1], [NaN, 2], ["x", new Map([[1, 2]])]]),
    new Set<unknown>([1, "1", {}, undefined]),
    new Error("plain"),
    new RangeError("with a cause", { cause: new TypeError("the cause", { cause: 0 }) }),
    new Error("", { cause: undefined }),
    errorCycle,
    cycle,
    mapCycle,
    [shared, { shared }, shared],
    deep,
    many,
    new ArrayBuffer(0),
    pattern(7, 1).buffer,
    pattern(100_000, 2).buffer,
    new DataView(pattern(20, 3).buffer, 4, 8),
    ...views.map((View) => new View(24 / View.BYTES_PER_ELEMENT)),
    ...views.map((View) => new View(pattern(8 * blobBytesMin, 4).buffer, 8, 512)),
  ];
  for (const value of values) {
    const found = roundTrip(value);
    if (value instanceof DataView || ArrayBuffer.isView(value)) {
      assertEquals((found as Uint8Array).buffer.byteLength, value.byteLength);
    }
    assertSame(found, value);
  }
  // All of them together, with a second reference to one.
  assertSame(roundTrip([values, values]), [values, values]);
  assertEquals(({} as Record<string, unknown>)["polluted"], undefined);
});

test("a long array of numbers with one item of another type", () => {
  const items = [1n, -(2n ** 80n), Object(1n), Object(7), "7", true, null, undefined, new Date(7)];
  const arrays: unknown[][] = [];
  for (const place of [1, 20, 66, 5_000]) {
    for (const number of [7, 0.5]) {
      for (const item of items) arrays.push(new Array(place + 70).fill(number).with(place, item));
    }
  }
  for (const array of arrays) assertSame(roundTrip(array), array);
  const withSymbol = new Array<unknown>(90).fill(7).with(20, Symbol("s"));
  assertThrowsCode(() => encode(withSymbol), "NOT_SERIALIZABLE", "[20]");
  // Nobody asks an object for its number.
  let asked = 0;
  const withMethod = new Array<unknown>(90).fill(7).with(20, {
    get valueOf() {
      asked += 1;
      return undefined;
    },
  });
  encode(withMethod);
  // Once, because it is a property.
  assertEquals(asked, 1);
});

test("objects of classes arrive as plain objects with their properties", () => {
  class Point {
    readonly x = 1;
    #hidden = 2;
    get y(): number {
      return this.#hidden;
    }
  }
  assertEquals(roundTrip(new Point()), { x: 1 });
  assertEquals(
    roundTrip(Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } })),
    {
      own: 2,
    },
  );
  class Names extends Map<string, number> {}
  const names = roundTrip(new Names([["a", 1]]));
  assertStrictEquals(Object.getPrototypeOf(names), Map.prototype);
  assertEquals(names, new Map([["a", 1]]));
});

test("errors keep class, name, stack, cause and properties", () => {
  class OwnError extends RangeError {
    override name = "OwnError";
    readonly code = 7n;
    readonly callback = () => {};
  }
  const sent = new OwnError("message", { cause: Symbol("a cause that cannot be sent") });
  const found = roundTrip(sent) as OwnError;
  assertInstanceOf(found, RangeError);
  assertEquals([found.name, found.message, found.code], ["OwnError", "message", 7n]);
  assertEquals(found.stack, sent.stack);
  assert(String(found.cause).includes("a cause that cannot be sent"));
  assert(!("callback" in found), "what cannot be sent is left out");
  const all = roundTrip(new AggregateError([1, new TypeError("t")], "all")) as AggregateError;
  assertInstanceOf(all, AggregateError);
  assertEquals(all.errors[0], 1);
  assertInstanceOf(all.errors[1], TypeError);
  const aborted = roundTrip(new DOMException("stopped", "AbortError")) as DOMException;
  assertInstanceOf(aborted, DOMException);
  assertEquals([aborted.name, aborted.code, aborted.message], ["AbortError", 20, "stopped"]);
});

test("an encoded message: CBOR that another library reads", () => {
  const values = [
    [1, 2.5, -3, "text", true, null],
    { a: { b: ["x".repeat(100), "ä".repeat(100)] } },
    new Uint8Array([1, 2, 3]),
    2n ** 70n,
    -(2n ** 70n),
    new Set([1, 2]),
    /a+/gi,
    new Float32Array([1.5, 2]),
    new Int16Array([-1, 2]),
    undefined,
    NaN,
    -0,
  ];
  for (const value of values) {
    const message = encode(value);
    assertEquals(decodeCbor(message.slice(8)), value, String(value));
  }
  // A tag that the other library does not know, around a value that it knows.
  const { tag, contents } = decodeCbor(encode(new Map([[1, "one"]])).slice(8)) as {
    tag: number;
    contents: unknown;
  };
  assertEquals([Number(tag), contents], [259, new Map([[1, "one"]])]);
});

/** Random values of every kind that can be sent. */
const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: false,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
  key: fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "then", "\ud800")),
  maxDepth: 4,
});

test("a receiver counts the same cost as the sender", () => {
  const encoder = new Encoder();
  const errors = fc.string().map((message) =>
    Object.assign(new AggregateError([new RangeError(message)], message), {
      more: [{}],
      cut: [new Error("x"), () => 0],
    })
  );
  fc.assert(
    fc.property(
      fc.oneof(anything, longArrays, errors, fc.constant({ self: [/a/, new Error("e")] })),
      (value) => {
        encoder.begin(hooks, 8);
        encoder.thrown(value);
        const { treeCost } = encoder;
        const blobs = encoder.blobs.map((blob) => new Uint8Array(blob));
        const bytes = encoder.written.slice();
        const objects = treeCost - bytes.byteLength;
        encoder.end();
        for (const maxTreeBytes of [treeCost, treeCost - 1]) {
          const decoder = new Decoder();
          let code = "none";
          try {
            decoder.begin(
              { ...hooks, maxTreeBytes },
              bytes,
              8,
              bytes.byteLength,
              new BlobList(blobs),
            );
            decoder.thrown();
          } catch (error) {
            code = (error as TandemError).code;
          }
          // For a tree without objects the message's reader checks the length.
          assertEquals(code, maxTreeBytes === treeCost || objects === 0 ? "none" : "TOO_LARGE");
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

/** Arrays that are written as a whole: of numbers of all kinds, with and without holes and properties. */
const longArrays = fc.tuple(
  fc.oneof(
    fc.array(fc.integer({ min: -130, max: 130 }), { minLength: 60, maxLength: 90 }),
    fc.array(fc.integer(), { minLength: 60, maxLength: 300 }),
    fc.array(fc.double(), { minLength: 60, maxLength: 300 }),
    fc.array(fc.oneof(fc.integer(), fc.double(), fc.constant(-0)), {
      minLength: 60,
      maxLength: 90,
    }),
    fc.array(anything, { minLength: 60, maxLength: 70 }),
  ),
  fc.array(fc.nat({ max: 400 }), { maxLength: 4 }),
  // One of the names is "length". Bun's structuredClone takes a minute for an array of a thousand million holes.
  fc.option(fc.dictionary(fc.string(), fc.nat({ max: 100_000 }), { maxKeys: 2 })),
).map(([array, holes, more]) => {
  for (const hole of holes) delete (array as unknown[])[hole];
  return more ? Object.assign(array, more) : array;
});

/** Values whose kind does not show in their prototype. */
const disguised = fc.tuple(anything, fc.constantFrom(null, Object.prototype, Map.prototype, {}))
  .map(([value, prototype]) =>
    typeof value === "object" && value !== null ? Object.setPrototypeOf(value, prototype) : value
  );

/** Values that structuredClone refuses, or turns into empty objects in one of the runtimes. */
const refused = fc.constantFrom<() => unknown>(
  () => () => {},
  () => Symbol("s"),
  () => Object(Symbol("s")),
  () => new Proxy({}, {}),
  () => new Proxy([], {}),
  () => new Proxy(new Map(), {}),
  () => new WeakMap(),
  () => Promise.resolve(),
  () => new Intl.Collator(),
  () => new AbortController().signal,
  () => Math,
).map((make) => make());

test("random values: come back as structuredClone would return them", () => {
  fc.assert(
    fc.property(fc.oneof(anything, longArrays, disguised, fc.array(disguised)), (value) => {
      const wanted = structuredClone(value);
      assertSame(roundTrip(value), wanted);
    }),
    { numRuns: 1_500 },
  );
});

test("a value that structuredClone refuses: refused wherever it stands", () => {
  const around = fc.constantFrom<(value: unknown, beside: unknown) => unknown>(
    (value) => value,
    (value, beside) => [beside, value],
    (value, beside) => ({ beside, value }),
    (value, beside) => new Map([[beside, value]]),
    (value, beside) => new Map([[value, beside]]),
    (value, beside) => new Set([beside, value]),
    (value, beside) => Object.assign(new Array(100).fill(beside), { 70: value }),
    (value, beside) => Object.assign(new Array(100).fill(1), { beside, value }),
    (value) => Object.assign(Object.create(null), { value }),
  );
  fc.assert(
    fc.property(around, refused, anything, (wrap, value, beside) => {
      const error = assertThrowsCode(() => encode(wrap(value, beside)), "NOT_SERIALIZABLE");
      assert(error.message.length < 1_000, error.message);
    }),
    { numRuns: 500 },
  );
});

for (const runtime of runtimes) {
  test(`random values: ${runtime} sends them back as they were`, async () => {
    const target = newTarget();
    await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 30_000 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(anything, longArrays), { maxLength: 3 }),
        async (values) => {
          assertSame(await remote.echo(...values), structuredClone(values));
        },
      ),
      { numRuns: 100 },
    );
  });
}

/** Views of shared and growing buffers, and the buffers. */
function sharedViews(): unknown[] {
  const buffer = new SharedArrayBuffer(24, { maxByteLength: 64 });
  const long = new SharedArrayBuffer(2_000);
  const resizable = new ArrayBuffer(5, { maxByteLength: 99 });
  return [new Int32Array(buffer, 4, 3), buffer, new DataView(buffer, 1, 9), resizable, [
    new Uint8Array(long, 7),
  ]];
}

const blobTree = [0xd9, 0xfa, 0x0f, 0x82, 0x63, 0x78, 0x2f, 0x79, 0x43, 1, 2, 3];
const fileTree = [0xd9, 0xfa, 0x0f, 0x84, 0x60, 0x62, 0x61, 0x62, 0x18, 0x64, 0x42, 4, 5];

test("the bytes of Blobs and Files", async () => {
  const [blob, file] = decode(header([0x82, ...blobTree, ...fileTree])) as [Blob, File];
  assertEquals([blob.type, blob instanceof File], ["x/y", false]);
  assertEquals(new Uint8Array(await blob.arrayBuffer()), new Uint8Array([1, 2, 3]));
  assertEquals([file.name, file.lastModified, file.type], ["ab", 100, ""]);
  assertEquals(new Uint8Array(await file.arrayBuffer()), new Uint8Array([4, 5]));
});

test("Blobs and buffers count against maxTreeBytes as more than their bytes", () => {
  const small = { ...hooks, maxTreeBytes: 2 ** 12 };
  const blobs = header([0x98, 60, ...new Array(60).fill(blobTree).flat()]);
  assertThrowsCode(() => decode(blobs, false, small), "TOO_LARGE");
  const resizable = new Array(10).fill(0).map(() => new ArrayBuffer(0, { maxByteLength: 1 }));
  assertThrowsCode(() => encode(resizable, small), "TOO_LARGE");
  assertThrowsCode(() => decode(encode(resizable), false, small), "TOO_LARGE");
  const shared = new Array(40).fill(0).map(() => new SharedArrayBuffer(0));
  assertThrowsCode(() => encode(shared, small), "TOO_LARGE");
  assertThrowsCode(() => decode(encode(shared), false, small), "TOO_LARGE");
});

/** Decodes bytes that may be anything; true: they were a message. */
function survives(message: Uint8Array<ArrayBuffer>): boolean {
  try {
    decode(message);
    return true;
  } catch (error) {
    assertInstanceOf(error, TandemError, String(error));
    assert(["CORRUPT", "INCOMPATIBLE", "UNSUPPORTED"].includes(error.code), error.message);
    return false;
  }
}

const twice = (...bytes: number[]) => [...bytes, ...bytes];

const header = (tree: readonly number[]) => {
  const length = 8 + tree.length;
  return Uint8Array.from([wireVersion, 3, 0, 0, length & 255, length >> 8, 0, 0, ...tree]);
};

test("bigints of any number of bytes", () => {
  for (let count = 0; count <= 12; count++) {
    for (const byte of [0, 0x7f, 0x80, 0xff]) {
      const bytes = new Array<number>(count).fill(byte);
      const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
      assertEquals(decode(header([0xc2, 0x40 + count, ...bytes])), BigInt(`0x0${hex}`));
    }
  }
});

test("bytes that promise more than there is: refused before memory is set aside", () => {
  const heads = [
    [0x9a, 0x7f, 0xff, 0xff, 0xff], // an array
    [0xba, 0x7f, 0xff, 0xff, 0xff], // a map
    [0x7a, 0x7f, 0xff, 0xff, 0xff], // a text
    [0x5a, 0x7f, 0xff, 0xff, 0xff], // bytes
    [0xd9, 0x01, 0x02, 0x9a, 0x7f, 0xff, 0xff, 0xff], // a set
    [0xd9, 0x01, 0x03, 0xba, 0x7f, 0xff, 0xff, 0xff], // a Map
    [0xd9, 0xfa, 0x07, 0x1a, 0x3f, 0xff, 0xff, 0xff], // a byte string behind the tree
    [0xd8, 0x56, 0xd9, 0xfa, 0x07, 0x1a, 0x3f, 0xff, 0xff, 0xff], // floats behind the tree
    [0x9b, 0, 0, 0, 1, 0, 0, 0, 0], // a length of eight bytes
    [0x9f, 0xff], // an array of unknown length
    [0x5f, 0xff],
    [0xd8, 0x1d, 0x00], // refers to nothing
    [0x81, 0xd8, 0x1d, 0x05],
    [0xd9, 0xfa, 0x08, 0x82, 0, 0], // a stream where a stream cannot be
    [0xd9, 0xfa, 0x09, 0x1a, 0x3f, 0xff, 0xff, 0xff], // a text behind the tree
    [0xd9, 0xfa, 0x09, 0x19, 0xff, 0xff], // too short for that
    [0xd9, 0xfa, 0x09, 0x41, 0x41],
    [0xd9, 0xfa, 0x0a, 0xd8, 0x48, 0x5a, 0x3f, 0xff, 0xff, 0xff], // numbers
    [0xd9, 0xfa, 0x0a, 0xd8, 0x56, 0xd9, 0xfa, 0x07, 0x1a, 0x3f, 0xff, 0xff, 0xff],
    [0xd9, 0xfa, 0x0a, 0xd8, 0x56, 0x41, 0], // half a number
    [0xd9, 0xfa, 0x0a, 0xd8, 0x55, 0x44, 0, 0, 0, 0], // of another type
    [0xd9, 0xfa, 0x0a, 0x41, 0], // without a kind
    [0xd9, 0xfa, 0x0a, 0x81, 0],
    [0xd9, 0xfa, 0x0b, 0x9a, 0x7f, 0xff, 0xff, 0xff], // holes
    [0xd9, 0xfa, 0x0b, 0x82, 0xe0],
    [0xd9, 0xfa, 0x0b, 0xa0],
    [0xe0], // a hole outside of an array
    [0x81, 0xe0],
    [0xd9, 0xfa, 0x0b, 0x81, 0x81, 0xe0],
    [0xd9, 0xfa, 0x0c, 0x82, 0xf7, 0x5a, 0x3f, 0xff, 0xff, 0xff], // a SharedArrayBuffer
    [0xd9, 0xfa, 0x0c, 0x82, 0x1a, 0xff, 0xff, 0xff, 0xff, 0x40], // that could become 4 GiB
    [0xd9, 0xfa, 0x0c, 0x82, 0x01, 0x42, 0, 0], // that is longer than its longest length
    [0xd9, 0xfa, 0x0d, 0x82, 0x01, 0x42, 0, 0],
    [0x82, ...twice(0xd9, 0xfa, 0x0d, 0x82, 0x1a, 0x3f, 0xff, 0xff, 0xff, 0x40)],
    [0x81, 0xd9, 0xfa, 0x0d, 0x82, 0xf6, 0x40],
    [0xd9, 0xfa, 0x0e, 0x84, 0x18, 0x40, 0x44, 0, 0, 0, 0, 0, 1], // a view of no SharedArrayBuffer
    [0xd9, 0xfa, 0x0e, 0x84, 0x18, 0x40, 0xd9, 0xfa, 0x0c, 0x82, 0xf7, 0x42, 0, 0, 1, 2], // too long
    [0xd9, 0xfa, 0x0e, 0x84, 0x18, 0x45, 0xd9, 0xfa, 0x0c, 0x82, 0xf7, 0x44, 0, 0, 0, 0, 1, 1], // not aligned
    [0xd9, 0xfa, 0x0e, 0x84, 0x18, 0x41, 0xd9, 0xfa, 0x0c, 0x82, 0xf7, 0x40, 0, 0], // of no class
    [0xd9, 0xfa, 0x0e, 0x84, 0x18, 0x40, 0xd8, 0x1d, 0x00, 0, 0], // of itself
    [0xd9, 0xfa, 0x0f, 0x82, 0x60, 0x5a, 0x3f, 0xff, 0xff, 0xff], // a Blob
    [0xd9, 0xfa, 0x0f, 0x82, 0x60, 0xd9, 0xfa, 0x07, 0x1a, 0x3f, 0xff, 0xff, 0xff],
    [0xd9, 0xfa, 0x0f, 0x82, 0x01, 0x40], // without a type
    [0xd9, 0xfa, 0x0f, 0x83, 0x60, 0x61, 0x61, 0x40],
    [0xd9, 0xfa, 0x0f, 0x84, 0x60, 0x61, 0x61, 0x60, 0x40], // a File without a date
  ];
  for (const head of heads) assertEquals(survives(header(head)), false, String(head));
});

test("a sparse array of four thousand million items costs no memory", () => {
  const tree = [0x99, 0x07, 0xd0]; // two thousand of them
  for (let count = 0; count < 2_000; count++) {
    tree.push(0xd9, 0xfa, 0x04, 0x82, 0xfb, 0x41, 0x7f, 0xff, 0xff, 0xf0, 0, 0, 0, 0xa0); // 2^25 - 1
  }
  const arrays = decode(header(tree)) as unknown[][];
  // Set aside, each would take 256 MiB.
  assertEquals([arrays.length, arrays[1999]!.length], [2_000, 2 ** 25 - 1]);
});

test("a byte string behind the tree is handed out once", () => {
  const message = encode([pattern(2_000, 1)]);
  // The same tag again, as if there were two.
  const tree = [...message.subarray(8, message[4]! | message[5]! << 8)];
  const doubled = [0x82, ...tree.slice(1), ...tree.slice(1)];
  const length = 8 + doubled.length;
  const hostile = new Uint8Array(((length + 7) & ~7) + 2_000);
  hostile.set(header(doubled));
  assertEquals(survives(hostile), false);
});

test("nesting has a limit", () => {
  for (const byte of [0x81, 0xd9]) {
    const tree = new Array(60_000).fill(byte);
    assertEquals(survives(header(tree)), false);
  }
  const boxes: number[] = [];
  for (let depth = 0; depth < 20_000; depth++) boxes.push(0xd9, 0xfa, 0x06);
  assertEquals(survives(header(boxes)), false);
});

test("hostile bytes end in an error with a code", () => {
  const seeds = [
    encode([1, "text", { key: [new Date(), /a/g, new Map([[1, new Set([2])]])] }]),
    encode([pattern(3_000, 1), new Float64Array(300), new DataView(new ArrayBuffer(2_000))]),
    encode([new RangeError("r", { cause: [1n, 2n ** 80n] }), [, 1], Object(1), "\ud800"]),
    encode([new Array(70).fill(1), new Array(70).fill(0.5), new Array(700).fill(2 ** 30)]),
    encode([Object.assign(new Array(90), new Array(80).fill("x")), "ä".repeat(2 ** 16)]),
    encode(sharedViews()),
    header([0x82, ...blobTree, ...fileTree]),
  ];
  let [whole, broken] = [0, 0];
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      fc.option(fc.nat()),
      (seed, changes, cut) => {
        const message = seed.slice(0, cut === null ? seed.length : cut % (seed.length + 1));
        const tree = Math.min(message.length, 200);
        for (const [place, byte] of changes) if (tree > 0) message[place % tree] = byte;
        if (survives(message)) whole += 1;
        else broken += 1;
      },
    ),
    { numRuns: 10_000 },
  );
  // Otherwise the test has tried nothing.
  assert(whole > 20 && broken > 20, `${whole} whole, ${broken} broken`);
});

test("random trees end in a value, or in an error with a code", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (tree) => {
      survives(header([...tree]));
    }),
    { numRuns: 10_000 },
  );
});

test("a decoder that has failed goes on with the next message", () => {
  const decoder = new Decoder();
  const good = encode({ a: 1 });
  const bad = header([0x82, 0x01]);
  for (const message of [bad, good, bad, good]) {
    decoder.begin(hooks, message, 8, message.length, noBlobs);
    try {
      assertEquals(decoder.value(), { a: 1 });
      assert(message === good);
    } catch (error) {
      assert(message === bad, String(error));
    } finally {
      decoder.forget();
    }
  }
  assertEquals(corrupt("x").code, "CORRUPT");
});
