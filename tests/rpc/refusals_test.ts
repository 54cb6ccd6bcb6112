/** What cannot be sent is refused by name and path. */
import { assert, assertEquals } from "@std/assert";
import { assertSame, encode, roundTrip } from "../support/codec_helper.ts";
import { assertThrowsCode, test } from "../support/harness.ts";
import { otherRealm, there } from "../support/other_realm.ts";

const runtimeGlobals = globalThis as unknown as Record<string, Record<string, unknown> | undefined>;
const { Temporal } = runtimeGlobals as { Temporal?: { Now: { instant(): object } } };

/** What cannot be sent, by the name it is refused with. */
const unsendable: [string, () => unknown][] = [
  ["a function", () => () => {}],
  ["a function", () => class {}],
  ["a function", () => there("(function () {})")],
  ["a symbol", () => Symbol("s")],
  ["a symbol", () => Object(Symbol("s"))],
  ["a symbol", () => there("Object(Symbol('s'))")],
  ["an Intl.NumberFormat", () => new Intl.NumberFormat()],
  ["an Intl.DateTimeFormat", () => new Intl.DateTimeFormat()],
  ["an Intl.Collator", () => new Intl.Collator()],
  ["an Intl.Locale", () => new Intl.Locale("en")],
  ["an Intl.Segmenter", () => new Intl.Segmenter()],
  ["an object of the runtime", () => new Intl.Segmenter().segment("ab")],
  ["an Intl.NumberFormat", () => there("new Intl.NumberFormat()")],
  ["an Intl.PluralRules", () => new (class extends Intl.PluralRules {})()],
  ["a WebAssembly.Memory", () => new WebAssembly.Memory({ initial: 1 })],
  ["a WebAssembly.Table", () => new WebAssembly.Table({ initial: 1, element: "anyfunc" })],
  ["a WebAssembly.Global", () => new WebAssembly.Global({ value: "i32" }, 0)],
  [
    "a WebAssembly.Module",
    () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])),
  ],
  ["a WeakMap", () => new WeakMap()],
  ["a WeakSet", () => new WeakSet()],
  ["a WeakRef", () => new WeakRef({})],
  ["a WeakMap", () => there("new WeakMap()")],
  ["a WeakRef", () => there("new WeakRef({})")],
  ["a WeakMap", () => Object.setPrototypeOf(new WeakMap(), null)],
  ["a Promise", () => Promise.resolve()],
  ["a Promise", () => there("Promise.resolve()")],
  ["a Promise", () => Object.setPrototypeOf(Promise.resolve(), null)],
  ["a FinalizationRegistry", () => new FinalizationRegistry(() => {})],
  ["a list of arguments", () => there("(function () { return arguments; })()")],
  ["a list of arguments", () => there("(function () { return arguments; })(1, 2)")],
  ["a Request", () => new Request("http://localhost/")],
  ["a Response", () => new Response("x")],
  ["a Headers", () => new Headers()],
  ["a URL", () => new URL("http://localhost/")],
  ["a URLSearchParams", () => new URLSearchParams("a=1")],
  ["a FormData", () => new FormData()],
  ["an AbortSignal", () => new AbortController().signal],
  ["an AbortController", () => new AbortController()],
  ["an EventTarget", () => new EventTarget()],
  ["an Event", () => new Event("x")],
  ["a TextDecoder", () => new TextDecoder()],
  ["a WritableStream", () => new WritableStream()],
  ["a TransformStream", () => new TransformStream()],
  ["a Blob", () => new Blob(["a"])],
  ["a ReadableStream", () => Object.create(ReadableStream.prototype)],
  ...["Math", "JSON", "Atomics", "Reflect", "Intl"].flatMap((name) =>
    [
      [`the object ${name}`, () => runtimeGlobals[name]],
      [`the object ${name}`, () => there(name)],
    ] as [string, () => unknown][]
  ),
  ...(Temporal
    ? [
      ["the object Temporal", () => Temporal],
      ["a Temporal.Instant", () => Temporal.Now.instant()],
      ["a Temporal.Instant", () => there("Temporal.Now.instant()")],
      ["a Temporal.Duration", () => there("Temporal.Duration.from('P1D')")],
      ["a Temporal.PlainDate", () => there("Temporal.PlainDate.from('2020-02-02')")],
    ] as [string, () => unknown][]
    : []),
];

test("a value that cannot be sent is refused with its name and path", () => {
  for (const [name, make] of unsendable) {
    const value = make();
    const wrap = (path: string, whole: unknown) =>
      assertThrowsCode(
        () => encode(whole),
        "NOT_SERIALIZABLE",
        `Cannot send ${path}: it is ${name}`,
      );
    wrap("this value", value);
    wrap("a[1].b", { a: [0, { b: value }] });
    wrap("k", new Map([["k", value]]));
    wrap("(item)[0]", new Set([[value]]));
    wrap("[99]", [...new Array(99).fill("x"), value]);
  }
});

test("values of another realm that are sent are values that structuredClone takes", () => {
  // Deno's takes objects that it makes empty ones of, and neither sends what others share.
  for (const [, make] of unsendable) assertThrowsCode(() => encode(make()), "NOT_SERIALIZABLE");
  for (const text of otherRealm) structuredClone(there(text));
});

test("an object of a class on globalThis is no part of the runtime", () => {
  class Own {
    x = 1;
  }
  const global = globalThis as { Own?: typeof Own };
  global.Own = Own;
  try {
    assertEquals(roundTrip(new Own()), { x: 1 });
  } finally {
    delete global.Own;
  }
});

/** Detaches a buffer. */
const detach = (buffer: ArrayBuffer) => void structuredClone(buffer, { transfer: [buffer] });

function shrunk<T>(make: (buffer: ArrayBuffer) => T): T {
  const buffer = new ArrayBuffer(16, { maxByteLength: 32 });
  const view = make(buffer);
  buffer.resize(4);
  return view;
}

function detached<T extends { buffer: ArrayBufferLike }>(view: T): T {
  detach(view.buffer as ArrayBuffer);
  return view;
}

const lost: [string, () => unknown][] = [
  ["a detached ArrayBuffer", () => detached(new Uint8Array(8)).buffer],
  ["a Uint8Array whose buffer is detached", () => detached(new Uint8Array(8))],
  ["a Float64Array whose buffer is detached", () => detached(new Float64Array(2000))],
  ["a DataView whose buffer is detached", () => detached(new DataView(new ArrayBuffer(8)))],
  ["a Uint8Array whose buffer is detached or too short", () => shrunk((b) => new Uint8Array(b, 8))],
  ["an Int16Array whose buffer", () => shrunk((b) => new Int16Array(b, 2, 4))],
  ["a DataView whose buffer", () => shrunk((b) => new DataView(b, 8))],
  ["a DataView whose buffer", () => shrunk((b) => new DataView(b, 0, 8))],
];

test("a detached buffer is refused with its name and path", () => {
  for (const [name, make] of lost) {
    assertThrowsCode(() => encode({ a: [make()] }), "NOT_SERIALIZABLE", `a[0]: it is ${name}`);
  }
  // Short buffers that are in order are sent.
  assertEquals(roundTrip(new Uint8Array(0)), new Uint8Array(0));
  assertEquals(roundTrip(new DataView(new ArrayBuffer(0))), new DataView(new ArrayBuffer(0)));
  assertEquals(roundTrip(shrunk((buffer) => new Uint8Array(buffer))), new Uint8Array(4));
});

test("a buffer detached while the value is encoded is refused", () => {
  const bytes = new Uint8Array(5_000);
  const value = {
    bytes,
    get trouble() {
      detach(bytes.buffer);
      return 1;
    },
  };
  assertThrowsCode(() => encode(value), "NOT_SERIALIZABLE", "detached or resized meanwhile");
});

test("a Proxy is refused with its name and path", () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const targets = [
    {},
    { a: 1 },
    [1, 2],
    new Map(),
    new Set(),
    new Date(),
    /a/,
    new Error("e"),
    new Uint8Array(2),
    Object(1),
    new ArrayBuffer(2),
    new (class Own {})(),
  ];
  const proxies = [...targets.map((target) => new Proxy(target, {})), revoked.proxy];
  for (const proxy of proxies) {
    const refused = (path: string, value: unknown) =>
      assertThrowsCode(
        () => encode(value),
        "NOT_SERIALIZABLE",
        `Cannot send ${path}: it is a Proxy`,
      );
    refused("this value", proxy);
    refused("a[0]", { a: [proxy] });
    refused("(key)", new Map([[proxy, 1]]));
    refused("[80]", [...new Array(80).fill(1), proxy]);
    // An error is sent without the properties that cannot be sent.
    const error = Object.assign(new Error("told", { cause: proxy }), { proxy, more: 1 });
    const found = roundTrip(error) as Error & { more: number };
    assertEquals([found.message, found.more, "proxy" in found], ["told", 1, false]);
    assertEquals(found.cause, "a Proxy");
  }
});

/** Arrays nested to a depth. */
function nested(depth: number): unknown[] {
  const outer: unknown[] = [];
  for (let level = 1, inner = outer; level < depth; level++) inner.push(inner = []);
  return outer;
}

test("values nested too deep are refused in a short message", () => {
  assertSame(roundTrip(nested(1_000)), nested(1_000));
  for (const depth of [1_001, 1_500, 5_000]) {
    const { message } = assertThrowsCode(
      () => encode({ first: nested(depth) }),
      "NOT_SERIALIZABLE",
      "nested deeper than 1000",
      "first[0][0][0]",
      "…",
    );
    assert(message.length < 300, message);
  }
  const long = "k".repeat(2 ** 20);
  for (
    const value of [
      { [long]: { [long]: () => {} } },
      new Map([[long, () => {}]]),
      Array.from({ length: 20 }).reduce((inner: object) => ({ [long]: inner }), { f: () => {} }),
    ]
  ) {
    const { message } = assertThrowsCode(() => encode(value), "NOT_SERIALIZABLE", "kkk…");
    assert(message.length < 1_000, String(message.length));
  }
});
