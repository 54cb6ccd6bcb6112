/** What a value is: known by its internal slots, whatever realm or prototype it has. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { connect } from "../../mod.ts";
import { assertSame, decode, encode, roundTrip } from "../support/codec_helper.ts";
import { newTarget, runtimes, test } from "../support/harness.ts";
import { startService } from "../support/rpc_helper.ts";
import { otherRealm, there } from "../support/other_realm.ts";
import type { Api } from "../fixtures/typed.ts";

test("values of another realm arrive as values of this realm", () => {
  for (const text of otherRealm) {
    const value = there(text);
    const wanted = structuredClone(value);
    assertSame(roundTrip(value), wanted);
    assertSame(roundTrip([{ value }]), [{ value: wanted }]);
  }
  const error = roundTrip(
    there("new RangeError('m', { cause: new TypeError('t') })"),
  ) as RangeError;
  assertInstanceOf(error, RangeError);
  assertInstanceOf(error.cause, TypeError);
  const own = roundTrip(
    there("new (class Own extends SyntaxError { name = 'Own'; more = [1n] })('own')"),
  ) as SyntaxError & { more: unknown };
  assertInstanceOf(own, SyntaxError);
  assertEquals([own.name, own.message, own.more], ["Own", "own", [1n]]);
  const all = roundTrip(there("new AggregateError([new EvalError('e')], 'm')")) as AggregateError;
  assertInstanceOf(all, AggregateError);
  assertInstanceOf(all.errors[0], EvalError);
});

for (const runtime of runtimes) {
  test(`${runtime} serves: values of another realm come back as values of this realm`, async () => {
    const target = newTarget();
    await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const values = otherRealm.map(there);
    assertSame(await remote.echo(...values), structuredClone(values));
  });
}

test("the kind of an object does not depend on its prototype", () => {
  const makers: (() => object)[] = [
    () => new Map<unknown, unknown>([[1, { a: 1 }]]),
    () => new Set([1, "2"]),
    () => new Date(5),
    () => /a/g,
    () => Object(1),
    () => Object("text"),
    () => [1, 2],
    () => new Uint8Array([1, 2]),
    () => new Float64Array(0),
    () => new ArrayBuffer(3),
    () => new DataView(new ArrayBuffer(3)),
  ];
  for (const make of makers) {
    for (const prototype of [null, Object.prototype, {}, Array.prototype, class {}.prototype]) {
      const value = Object.setPrototypeOf(make(), prototype);
      assertSame(roundTrip([value]), structuredClone([make()]));
    }
  }
  const error = roundTrip(Object.setPrototypeOf(new RangeError("lost"), null)) as Error;
  assertInstanceOf(error, Error);
  assertEquals([error.name, error.message], ["Error", "lost"]);
});

test("a prototype alone makes no value", () => {
  const classes = [
    Map,
    Set,
    Date,
    RegExp,
    Error,
    RangeError,
    Array,
    Number,
    String,
    ArrayBuffer,
    DataView,
    Uint8Array,
    Promise,
    WeakMap,
  ];
  for (const { prototype, name } of classes) {
    const value = Object.create(prototype, { own: { value: [name], enumerable: true } });
    assertSame(roundTrip(value), structuredClone(value));
    assertEquals(roundTrip(value), { own: [name] });
  }
  // A tag does not change the kind of an object.
  for (const tag of ["Map", "Date", "Temporal.Instant", "Math", "Promise"]) {
    assertEquals(roundTrip({ [Symbol.toStringTag]: tag, a: 1 }), { a: 1 });
    assertEquals(roundTrip({ [Symbol.toStringTag]: tag }), {});
  }
  class Tagged {
    a = 1;
    get [Symbol.toStringTag]() {
      return "Temporal.Instant";
    }
  }
  assertEquals(roundTrip(new Tagged()), { a: 1 });
});

test("own properties do not replace internal slots", () => {
  const trap = {
    get() {
      throw new Error("it was asked");
    },
  };
  const define = <T extends object>(value: T, ...names: (string | symbol)[]): T => {
    for (const name of names) Object.defineProperty(value, name, trap);
    return value;
  };
  const date = define(new Date(7), "getTime", "valueOf", Symbol.toPrimitive);
  assertEquals((roundTrip(date) as Date).getTime(), 7);
  const expression = define(/a\/b/giu, "source", "flags", "global", "unicode");
  assertEquals(String(roundTrip(expression)), "/a\\/b/giu");
  const map = define(new Map([[1, 2]]), "size", "entries", "forEach", Symbol.iterator);
  assertEquals(roundTrip(map), new Map([[1, 2]]));
  const bytes = define(new Uint8Array([1, 2]), "buffer", "byteLength", "byteOffset", "length");
  assertEquals(roundTrip(bytes), new Uint8Array([1, 2]));
  assertEquals(roundTrip(define(Object(7), "valueOf")), Object(7));
  assertEquals((roundTrip(define(new ArrayBuffer(3), "byteLength")) as ArrayBuffer).byteLength, 3);
  assertEquals(roundTrip(define([1], Symbol.iterator, "entries", "length2")), [1]);
});

test("an error keeps all its properties that can be sent, however many there are", () => {
  const error = Object.assign(new Error("wide"), { line: 3, column: 4 });
  for (let index = 0; index < 70_000; index++) {
    Object.defineProperty(error, `p${index}`, { value: index, enumerable: true });
  }
  const found = roundTrip(error) as Record<string, unknown>;
  assertEquals(found["p69999"], 69_999);
  class Placed extends Error {
    line = 7;
  }
  assertEquals((roundTrip(new Placed()) as Placed).line, 7);
});

test("long arrays arrive unchanged", () => {
  const numbers = (length: number, make: (index: number) => unknown) =>
    Array.from({ length }, (_, index) => make(index));
  for (const length of [63, 64, 65, 1_000, 5_000, 100_000]) {
    const arrays = [
      numbers(length, (index) => index),
      numbers(length, (index) => index % 128 - 64),
      numbers(length, (index) => index % 256 - 128),
      numbers(length, (index) => index % 32_768 - 1),
      numbers(length, () => -(2 ** 31)),
      numbers(length, () => 2 ** 31),
      numbers(length, (index) => index === 40 ? -0 : index),
      numbers(length, (index) => index === 40 ? NaN : 0.5),
      numbers(length, (index) => index === length - 2 ? "text" : index),
      numbers(length, (index) => index === 3 ? undefined : null),
      numbers(length, (index) => index % 2 === 0),
      Object.assign(numbers(length, (index) => index), { more: [1] }),
      Object.assign(numbers(length, String), { "-1": 1 }),
      Object.assign(new (class extends Array<number> {})(), numbers(length, (index) => index)),
    ];
    for (const array of arrays) assertSame(roundTrip(array), structuredClone(array));
    for (const holes of [[0], [1, 2], [length - 1], [5, length >> 1], numbers(20, Number)]) {
      const array = numbers(length, (index) => index);
      for (const hole of holes) delete array[hole as number];
      assertSame(roundTrip(array), structuredClone(array));
      assertSame(roundTrip(Object.assign(array, { more: 1 })), structuredClone(array));
    }
    const few: unknown[] = [];
    few[length * 3] = "far";
    assertSame(roundTrip(few), structuredClone(few));
    assertSame(roundTrip(new Array(length)), new Array(length));
  }
});

test("empty views of every class arrive", () => {
  type ViewClass = new (buffer: ArrayBuffer, offset?: number) => ArrayBufferView;
  for (
    const View of [
      DataView,
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Float32Array,
      Float64Array,
      BigInt64Array,
      BigUint64Array,
    ] as ViewClass[]
  ) {
    assertSame(roundTrip([new View(new ArrayBuffer(0))]), [new View(new ArrayBuffer(0))]);
    assertSame(roundTrip([new View(new ArrayBuffer(8), 8)]), [new View(new ArrayBuffer(0))]);
  }
});

test("arrays of numbers can be read at any offset", () => {
  const numbers = Array.from({ length: 1_000 }, (_, index) => index / 7);
  const message = encode([numbers, "x", new Array(100).fill(2 ** 20)]);
  for (const offset of [0, 1, 4, 7]) {
    const memory = new Uint8Array(message.byteLength + offset);
    memory.set(message, offset);
    for (const isPrivate of [true, false]) {
      const found = decode(memory.subarray(offset), isPrivate) as unknown[][];
      assertSame(found[0], numbers);
    }
  }
});

test("properties left out of an error leave no references behind", () => {
  const shared = Array.from({ length: 20 }, (_, index) => ({ index }));
  const error = Object.assign(new Error("e"), {
    first: shared.slice(0, 12),
    left: [shared, () => {}],
    last: shared,
    again: shared,
  });
  const found = roundTrip([error, shared]) as [Error & Record<string, unknown>, unknown];
  assertEquals(Object.keys(found[0]), ["first", "last", "again"]);
  assertEquals(found[0]["last"], shared);
  assert(found[0]["last"] === found[0]["again"] && found[1] === found[0]["last"]);
});
