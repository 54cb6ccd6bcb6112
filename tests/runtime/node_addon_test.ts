/** The addon for Node: what it does with any argument, and that it binds functions of every signature. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { backend } from "../../src/runtime/current.ts";
import { loadAddon } from "../../src/runtime/node_addon.ts";
import { runtime, test } from "../support/harness.ts";

const skip = runtime === "node" ? null : "it is the addon for Node";

function own(name: string, body: () => void): void {
  test(name, body, { skip });
}

const addon = runtime === "node" ? loadAddon(backend().arch) : null!;

/** A function of the C library, whose signature begins with the letter of the result. */
function libc(name: string, signature: string): (...values: unknown[]) => unknown {
  return addon.bind(addon.open("libc.so.6"), name, signature);
}

function libm(name: string, signature: string): (...values: unknown[]) => unknown {
  return addon.bind(addon.open("libm.so.6"), name, signature);
}

/** A text for a function of C. */
function c(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

own("results of each kind", () => {
  assertEquals(libc("abs", "ii")(-7), 7);
  assertEquals(libc("abs", "ii")(-(2 ** 31)), -(2 ** 31));
  assertEquals(libc("abs", "ui")(-(2 ** 31)), 2 ** 31);
  assertEquals(libc("strlen", "ub")(c("four")), 4);
  assertEquals(libc("strlen", "sb")(c("four")), 4n);
  assertEquals(libc("labs", "ss")(-(2n ** 40n)), 2n ** 40n);
  assertEquals(libc("labs", "ss")(2n ** 63n), 2n ** 63n);
  assertEquals(libc("strtod", "fbs")(c("1.5e300"), 0n), 1.5e300);
  assertEquals(libm("fmod", "fff")(7.5, 2), 1.5);
  assertEquals(libc("srand", "vu")(1), undefined);
});

own("doubles of every value", () => {
  const same = libm("fmax", "fff");
  for (const value of [NaN, Infinity, -Infinity, -0, 5e-324, 1.7976931348623157e308, 2 ** 53 + 2]) {
    assertEquals(same(value, value), value);
    assertEquals(Object.is(same(value, value), value), true);
  }
});

own("numbers that are no integers become the nearest integer, and NaN becomes 0", () => {
  const signed = libc("abs", "ii");
  const unsigned = libc("htonl", "uu");
  /** What C was given. */
  const asUnsigned = (value: unknown) => {
    const swapped = unsigned(value) as number;
    return new DataView(new Uint32Array([swapped]).buffer).getUint32(0, false);
  };
  for (
    const [value, word] of [
      [0, 0],
      [-0, 0],
      [NaN, 0],
      [0.9, 0],
      [7.9, 7],
      [-1, 0],
      [-0.5, 0],
      [-Infinity, 0],
      [Infinity, 2 ** 32 - 1],
      [2 ** 32, 2 ** 32 - 1],
      [1e300, 2 ** 32 - 1],
      [2 ** 32 - 1, 2 ** 32 - 1],
    ] as const
  ) {
    assertEquals(asUnsigned(value), word, `${value}`);
  }
  for (
    const [value, word] of [[NaN, 0], [-7.9, 7], [7.9, 7], [Infinity, 2 ** 31 - 1], [
      1e300,
      2 ** 31 - 1,
    ], [
      -1e300,
      -(2 ** 31),
    ]] as const
  ) {
    assertEquals(signed(value), word, `${value}`);
  }
});

own("bigints travel modulo 2 ** 64", () => {
  const same = libc("labs", "ss");
  assertEquals(same(2n ** 64n), 0n);
  assertEquals(same(2n ** 64n + 5n), 5n);
  assertEquals(same(-5n), 5n);
  assertEquals(same(2n ** 1000n), 0n);
});

own("eight integers, of which two lie on the stack", () => {
  // int snprintf(char *, size_t, const char *, ...): the arguments of a variadic function lie as others do.
  const out = new Uint8Array(100);
  const print = libc("snprintf", "ibubiiiii");
  assertEquals(print(out, out.length, c("%d %d %d %d %d"), 1, -2, 3, -4, 2 ** 31 - 1), 20);
  assertEquals(textOf(out), "1 -2 3 -4 2147483647");
  const seven = libc("snprintf", "ibsbiusu");
  assertEquals(seven(out, 100n, c("%d %u %lu %u"), -1, 2 ** 32 - 1, 2n ** 64n - 1n, 7), 36);
  assertEquals(textOf(out), "-1 4294967295 18446744073709551615 7");
});

own("integers and doubles in any order", () => {
  assertEquals(libm("ldexp", "ffi")(1.5, 10), 1536);
  assertEquals(libm("scalbn", "ffi")(1.5, -1), 0.75);
  assertEquals(libm("fma", "ffff")(3, 4, 5), 17);
  // The order of both kinds in a signature does not matter to a callee: the registers are numbered apart.
  assertEquals(libm("jn", "fif")(0, 0), 1);
});

/** The bytes that C sees, copied out by it. */
function seen(view: ArrayBufferView, length: number): number[] {
  const out = new Uint8Array(length);
  libc("memcpy", "sbbs")(out, view, BigInt(length));
  return [...out];
}

own("every kind of view is seen at its offset", () => {
  const buffer = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]).buffer;
  for (
    const view of [
      new Uint8Array(buffer, 8),
      new Int8Array(buffer, 8, 4),
      new Uint8ClampedArray(buffer, 8),
      new Uint16Array(buffer, 8),
      new Float32Array(buffer, 8),
      new Float64Array(buffer, 8),
      new BigUint64Array(buffer, 8),
      new DataView(buffer, 8),
    ]
  ) {
    assertEquals(seen(view, 4), [8, 9, 10, 11], view.constructor.name);
  }
});

own("small arrays that V8 keeps on its heap are written to in place", () => {
  for (let length = 1; length <= 80; length++) {
    const bytes = new Uint8Array(length);
    libc("memset", "sbis")(bytes, 7, BigInt(length));
    assertEquals(bytes.every((byte) => byte === 7), true, `${length} bytes`);
  }
});

own("views of shared and of resizable buffers", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(16), 4);
  libc("memset", "sbis")(shared, 7, 4n);
  assertEquals([...shared.subarray(0, 5)], [7, 7, 7, 7, 0]);
  const growing = new SharedArrayBuffer(4, { maxByteLength: 64 });
  growing.grow(32);
  assertEquals(seen(new Uint8Array(growing, 16), 4), [0, 0, 0, 0]);

  const buffer = new ArrayBuffer(16, { maxByteLength: 64 });
  const view = new Uint8Array(buffer, 4);
  libc("memset", "sbis")(view, 9, 4n);
  assertEquals([...view.subarray(0, 5)], [9, 9, 9, 9, 0]);
  const tail = new Uint8Array(buffer, 8, 8);
  buffer.resize(10);
  // Out of bounds: it has no bytes. Its address is not null, and nothing is read.
  assertEquals(tail.byteLength, 0);
  assertEquals(seen(tail, 0), []);
});

own("views without bytes have an address that is not null", () => {
  const gone = new Uint8Array(8);
  gone.buffer.transfer();
  assertEquals(gone.byteLength, 0);
  const addressOf = libc("strncpy", "sbbs");
  for (const view of [new Uint8Array(0), new DataView(new ArrayBuffer(0)), gone]) {
    assert(addressOf(view, view, 0n) !== 0n);
  }
});

const wrong = [
  undefined,
  null,
  true,
  "7",
  Symbol("7"),
  {},
  [],
  () => 7,
  Object(7),
  new Date(),
  new Proxy(new Uint8Array(8), {}),
];

own("values of other kinds are a TypeError, and nothing is called", () => {
  const out = new Uint8Array([7]);
  // memset would write.
  const write = libc("memset", "sbis");
  const refused = (...values: unknown[]) => {
    assertThrows(() => write(...values), TypeError, "a native function takes");
    assertEquals(out[0], 7);
  };
  for (const value of [...wrong, 7, 7n, new ArrayBuffer(8), new SharedArrayBuffer(8)]) {
    refused(value, 0, 1n);
  }
  for (const value of [...wrong, 7n, out]) refused(out, value, 1n);
  for (const value of [...wrong, 7, NaN, out]) refused(out, 0, value);
  const double = libm("floor", "ff");
  for (const value of [...wrong, 7n, out]) {
    assertThrows(() => double(value), TypeError, "a number");
  }
});

own("too few arguments are a TypeError; what is too much is ignored", () => {
  const out = new Uint8Array([7]);
  const write = libc("memset", "sbis");
  for (const values of [[], [out], [out, 0]]) {
    assertThrows(() => write(...values), TypeError);
    assertEquals(out[0], 7);
  }
  write(out, 1, 1n, "more", {}, ...Array(20).fill(0));
  assertEquals(out[0], 1);
  assertThrows(() => new (write as unknown as new () => unknown)(), TypeError);
});

own("what open, bind and mapping are given", () => {
  assertThrows(() => addon.open("/nowhere/lib.so"), Error, "No such file");
  assertThrows(() => addon.open("libc.so.6\0.so"), Error, "contains a zero");
  assertThrows(() => addon.open("x".repeat(5000)), Error, "too long");
  assertThrows(() => addon.open("\ud800"), Error);
  const library = addon.open("libc.so.6");
  assertThrows(() => addon.bind(library, "no_such_function", "v"), Error, "no_such_function");
  for (const signature of ["", "x", "b", "vv", "iuuuuuuuuu", "ifffff", `v${"u".repeat(100)}`]) {
    assertThrows(() => addon.bind(library, "abs", signature), Error, "", signature);
  }
  const bind = addon.bind as (...values: unknown[]) => unknown;
  for (const value of [...wrong, 0n, 7]) {
    assertThrows(() => bind(value, "abs", "ii"), Error, "open()");
    assertThrows(() => bind(library, value, "ii"), Error);
    assertThrows(() => bind(library, "abs", value), Error);
    assertThrows(() => (addon.open as (value: unknown) => unknown)(value), Error);
  }
  const mapping = addon.mapping as (...values: unknown[]) => ArrayBuffer;
  for (const value of [...wrong, 7n]) {
    assertThrows(() => mapping(value, 8), Error, "two numbers");
    assertThrows(() => mapping(4096, value), Error, "two numbers");
  }
  // Nobody reads at these addresses.
  assertEquals(mapping(0, 0).byteLength, 0);
  assertEquals(mapping(NaN, 0).byteLength, 0);
  assertEquals(mapping(-1, -1).byteLength, 0);
});

own("a buffer over mapped memory is the memory, can be given away and be mapped again", () => {
  const [readable, anonymous] = [3, 0x22];
  const map = libc("mmap", "sssiiis");
  const unmap = libc("munmap", "iss");
  const length = 65_536;
  const fill = (address: unknown, byte: number) =>
    addon.bind(addon.open("libc.so.6"), "memset", "ssis")(address, byte, BigInt(length));
  const address = map(0n, BigInt(length), readable, anonymous, -1, 0n) as bigint;
  for (let round = 1; round <= 3; round++) {
    const buffer = backend().mapping(Number(address), length);
    const bytes = new Uint8Array(buffer);
    fill(address, round);
    assertEquals([bytes[0], bytes.at(-1), bytes.length], [round, round, length]);
    const moved = structuredClone(bytes, { transfer: [buffer] });
    assertEquals(bytes.byteLength, 0);
    fill(address, round + 1);
    assertEquals(moved[0], round + 1);
    moved.buffer.transfer(0);
    assertEquals(moved.byteLength, 0);
    assertEquals(unmap(address, BigInt(length)), 0);
    // Other memory at the same address.
    const fixed = 0x10;
    assertEquals(map(address, BigInt(length), readable, anonymous | fixed, -1, 0n), address);
    assertEquals(new Uint8Array(backend().mapping(Number(address), length))[0], 0);
  }
  unmap(address, BigInt(length));
});
