/** SharedArrayBuffers arrive as copies, and buffers keep their longest lengths. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { encode, roundTrip } from "../support/codec_helper.ts";
import { assertThrowsCode, test } from "../support/harness.ts";
import { typedAt } from "../support/rpc_helper.ts";
import { there } from "../support/other_realm.ts";
import { pattern } from "../support/pattern.ts";
import { sites } from "../support/sites.ts";

function shared(bytes: Uint8Array, maxByteLength?: number): SharedArrayBuffer {
  const { byteLength } = bytes;
  const buffer = maxByteLength === undefined
    ? new SharedArrayBuffer(byteLength)
    : new SharedArrayBuffer(byteLength, { maxByteLength });
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

const bytesOf = (buffer: ArrayBufferLike) => [...new Uint8Array(buffer)];

for (const site of sites) {
  test(`${site.title}: a SharedArrayBuffer arrives as a copy, with its views`, async () => {
    using there = await typedAt(site);
    for (const length of [0, 8, 1_000, 5_000, 3_000_000]) {
      const bytes = pattern(length, 3);
      const sent = shared(bytes);
      const [found, again] = await there.remote.echo(sent, { inside: [sent] });
      assertInstanceOf(found, SharedArrayBuffer);
      assert((again as { inside: unknown[] }).inside[0] === found);
      assertEquals([found.byteLength, found.growable], [length, false]);
      assert(pattern(length, 3).every((byte, at) => new Uint8Array(found)[at] === byte));
      // The memory is not shared.
      if (length > 0) {
        new Uint8Array(found)[0]! ^= 0xff;
        assertEquals(new Uint8Array(sent)[0], bytes[0]);
      }
    }
    const sent = shared(pattern(64, 1));
    const [views, buffer] = await there.remote.echo({
      words: new Uint16Array(sent, 4, 3),
      view: new DataView(sent, 9, 5),
      bytes: new Uint8Array(sent, 1, 2),
      empty: new Int32Array(sent, 64),
    }, sent) as [Record<string, ArrayBufferView & { length?: number }>, SharedArrayBuffer];
    for (const view of Object.values(views)) assert(view.buffer === buffer);
    assertEquals(bytesOf(buffer), [...pattern(64, 1)]);
    const places = Object.values(views).map((view) => [
      view.constructor.name,
      view.byteOffset,
      view.byteLength,
    ]);
    assertEquals(places, [
      ["Uint16Array", 4, 6],
      ["DataView", 9, 5],
      ["Uint8Array", 1, 2],
      ["Int32Array", 64, 0],
    ]);
    // Atomics work on what arrives.
    const sentCounter = new Int32Array(new SharedArrayBuffer(4));
    const [counter] = await there.remote.echo(sentCounter) as [Int32Array<SharedArrayBuffer>];
    assertEquals(Atomics.add(counter, 0, 5), 0);
    assertEquals(Atomics.notify(counter, 0), 0);
  });

  test(`${site.title}: buffers keep their longest lengths`, async () => {
    using there = await typedAt(site);
    const resizable = new ArrayBuffer(3, { maxByteLength: 2_000 });
    new Uint8Array(resizable).set([1, 2, 3]);
    const growable = shared(new Uint8Array([4, 5]), 50);
    const [first, second] = await there.remote.echo(resizable, growable) as [
      ArrayBuffer,
      SharedArrayBuffer,
    ];
    assertEquals([first.resizable, first.maxByteLength, bytesOf(first)], [true, 2_000, [1, 2, 3]]);
    assertEquals([second.growable, second.maxByteLength, bytesOf(second)], [true, 50, [4, 5]]);
    first.resize(2_000);
    second.grow(50);
  });
}

test("a SharedArrayBuffer that grows while it is encoded is sent as it was", () => {
  const buffer = shared(new Uint8Array(2_000).fill(1), 5_000);
  const found = roundTrip([buffer, {
    get more() {
      buffer.grow(5_000);
      return 7;
    },
  }]) as [SharedArrayBuffer, unknown];
  assertEquals([found[0].byteLength, found[0].maxByteLength], [2_000, 5_000]);
});

test("buffers of another realm, and of every class of views", () => {
  const found = roundTrip(there("new SharedArrayBuffer(4)"));
  assertInstanceOf(found, SharedArrayBuffer);
  const buffer = shared(pattern(64, 9));
  type ViewClass = new (
    buffer: SharedArrayBuffer,
    offset: number,
    length: number,
  ) => ArrayBufferView;
  const classes: ViewClass[] = [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
    DataView,
  ];
  const views = classes.map((View) => new View(buffer, 8, 4));
  const arrived = roundTrip(views) as typeof views;
  for (const [index, view] of arrived.entries()) {
    assert(view.buffer instanceof SharedArrayBuffer && view.buffer === arrived[0]!.buffer);
    assertEquals(view.constructor, views[index]!.constructor);
    assertEquals([view.byteOffset, view.byteLength], [8, views[index]!.byteLength]);
  }
});

test("buffers that could become too long in all are refused by both sides", () => {
  const half = 2 ** 29;
  const make = () => [
    new ArrayBuffer(1, { maxByteLength: half }),
    new SharedArrayBuffer(1, { maxByteLength: half }),
  ];
  roundTrip(make());
  const tooMany = [...make(), new ArrayBuffer(1, { maxByteLength: 1 })];
  const text = "Cannot send [2]: it has a maxByteLength of 1,";
  assertThrowsCode(() => encode(tooMany), "NOT_SERIALIZABLE", text);
  // Of an error only the property is left out.
  const error = Object.assign(new Error("e"), { first: make(), tooMany, last: [make()[0]] });
  assertEquals(Object.keys(roundTrip(error) as Error), ["first"]);
});
