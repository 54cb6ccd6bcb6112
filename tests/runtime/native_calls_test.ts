/**
 * How arguments reach native functions, tested with functions of the C library. A function that takes integers
 * alone finds them also behind doubles, which travel in registers of their own.
 */
import { assertEquals, assertThrows } from "@std/assert";
import { backend } from "../../src/runtime/current.ts";
import type { Table } from "../../src/runtime/backend.ts";
import { runtime, test } from "../support/harness.ts";

interface Mathematics {
  ldexp(value: number, exponent: number): number;
  remquo(value: number, divisor: number, quotient: Int32Array): number;
}

interface Strings {
  strnlen(double: number, bytes: Uint8Array, length: number, a: number, b: number, c: View): number;
}

type View = ArrayBufferView;

const mathematics = backend().bind<Mathematics>(
  "libm.so.6",
  {
    ldexp: { parameters: ["f64", "u32"], result: "f64" },
    remquo: { parameters: ["f64", "f64", "buffer"], result: "f64" },
  } satisfies Table,
);
const strings = backend().bind<Strings>(
  "libc.so.6",
  {
    strnlen: { parameters: ["f64", "bytes", "u32", "u32", "f64", "buffer"], result: "i32" },
  } satisfies Table,
);

const nowhere = new Uint32Array(8);

/** The number of bytes before the first zero. */
function lengthOf(bytes: Uint8Array): number {
  return strings.strnlen(NaN, bytes, bytes.byteLength, 1, 2, nowhere);
}

/** Bytes with a zero at `end`, if they are so long. */
function endingAt(end: number, byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength).fill(1);
  bytes[end] = 0;
  return bytes;
}

test("native calls: numbers arrive, and come back", () => {
  assertEquals(mathematics.ldexp(3, 4), 48);
  assertEquals(mathematics.ldexp(-0.5, 1), -1);
  assertEquals(mathematics.ldexp(NaN, 1), NaN);
});

test("native calls: a function writes to each buffer that it gets, the same one again and others", () => {
  const quotient = new Int32Array(4);
  for (const other of [quotient, quotient, new Int32Array(1), new Int32Array(5000), quotient]) {
    for (const times of [3, 5]) {
      other[0] = 0;
      assertEquals(mathematics.remquo(4 * times + 1, 4, other), 1);
      assertEquals(other[0], times);
    }
  }
});

test("native calls: a view of a part of a buffer is that part", () => {
  const all = new Int32Array(20_000);
  for (const offset of [0, 7, 19_000, 7]) {
    const part = all.subarray(offset, offset + 2);
    assertEquals(mathematics.remquo(9, 4, part), 1);
    assertEquals(all[offset], 2);
    all[offset] = 0;
  }
});

test("native calls: bytes of every length arrive, also after others at the same place", () => {
  for (const byteLength of [1, 12, 24, 25, 63, 64, 65, 66, 1000, 70_000]) {
    assertEquals(lengthOf(endingAt(byteLength - 1, byteLength)), byteLength - 1);
    const bytes = endingAt(byteLength, byteLength);
    assertEquals(lengthOf(bytes), byteLength);
    bytes[0] = 0;
    assertEquals(lengthOf(bytes), 0, "they have changed");
    assertEquals(lengthOf(endingAt(0, byteLength + 2).subarray(1)), byteLength + 1);
  }
});

test("native calls: the front of longer bytes arrives", () => {
  const bytes = endingAt(3, 100);
  assertEquals(strings.strnlen(NaN, bytes, 2, 1, 2, nowhere), 2);
  assertEquals(strings.strnlen(NaN, bytes, 30, 1, 2, nowhere), 3);
});

test("native calls: a buffer that was detached meanwhile is not written to", () => {
  const quotient = new Int32Array(4);
  assertEquals(mathematics.remquo(9, 4, quotient), 1);
  const moved = new Int32Array(structuredClone(quotient.buffer, { transfer: [quotient.buffer] }));
  const fresh = new Int32Array(4);
  // Its place may be used again.
  assertEquals(mathematics.remquo(13, 4, fresh), 1);
  assertEquals([moved[0], fresh[0]], [2, 3]);
  const bytes = endingAt(70, 100);
  assertEquals(lengthOf(bytes), 70);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  assertEquals(lengthOf(bytes), 0);
});

if (runtime === "node") {
  test("native calls: other values are TypeErrors", () => {
    // deno-lint-ignore no-explicit-any -- the wrong types are the subject
    const call = mathematics.ldexp as any;
    const write = mathematics.remquo as typeof call;
    const read = strings.strnlen as typeof call;
    for (const wrong of [undefined, null, "1", {}, [], true, 1n, new Int32Array(2)]) {
      assertThrows(() => call(wrong, 1), TypeError);
      assertThrows(() => call(1, wrong), TypeError);
    }
    assertThrows(() => call(1), TypeError);
    for (const wrong of [undefined, null, 1, 2n, "", {}, new ArrayBuffer(8)]) {
      assertThrows(() => write(9, 4, wrong), TypeError);
      assertThrows(() => read(1, wrong, 2, 1, 1, nowhere), TypeError);
      assertThrows(() => read(1, wrong, 100, 1, 1, nowhere), TypeError);
      assertThrows(() => read(1, endingAt(0, 2), 2, 1, 1, wrong), TypeError);
    }
  });

  test("native calls: a number becomes the nearest integer that fits", () => {
    for (const value of [NaN, -1, -Infinity, 0.9]) assertEquals(mathematics.ldexp(3, value), 3);
    // As a signed integer, the largest is -1.
    for (const value of [2 ** 32, 1e300, Infinity]) assertEquals(mathematics.ldexp(3, value), 1.5);
  });
}
