/**
 * What a value is: known by its internal slots, whatever realm or prototype it has; and what cannot be
 * sent is refused by name and path.
 */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { createContext, runInContext } from "node:vm";
import { connect, RemoteError, serve, TandemError } from "../../mod.ts";
import { assertSame, decode, encode, roundTrip } from "../support/codec_helper.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  newTarget,
  runtimes,
  test,
} from "../support/harness.ts";
import { collect, rejection, startService } from "../support/rpc_helper.ts";
import type { Api } from "../fixtures/typed.ts";
import { transports } from "../support/sites.ts";

const realm = createContext({});
/** Runs a text in another realm, whose classes are not those of this one. */
const there = (text: string): unknown => runInContext(text, realm);

const otherRealm = [
  "new Map([[1, new Map()], ['k', { a: new Date(7) }]])",
  "new Set([1, [2], new Set()])",
  "new Date(1234.5)",
  "new Date(NaN)",
  "/a[b]/dgimsuy",
  "/\\p{L}/v",
  "new Error('plain')",
  "new SyntaxError('of the syntax')",
  "new ArrayBuffer(5)",
  "new ArrayBuffer(5, { maxByteLength: 10 })",
  "new Uint8Array([1, 2, 3]).buffer",
  "new Uint8Array(3000).fill(7).buffer",
  "new DataView(new ArrayBuffer(12), 3, 4)",
  ...[
    "Uint8",
    "Uint8Clamped",
    "Int8",
    "Uint16",
    "Int16",
    "Uint32",
    "Int32",
    "Float32",
    "Float64",
    "BigInt64",
    "BigUint64",
  ].map((name) => `new ${name}Array(300)`),
  "Object(1)",
  "Object(-0)",
  "Object('text')",
  "Object(false)",
  "Object(2n ** 70n)",
  "[1, , [2]]",
  "Object.assign([1, 2], { more: 3 })",
  "Array.from({ length: 100 }, (_, index) => index * 1.5)",
  "({ a: { b: 1 }, __proto__: null })",
  "({ a: { b: 1 } })",
  "new (class Point { x = 1; #y = 2; get y() { return this.#y; } })()",
  "new (class Names extends Map {})([[1, 2]])",
];

test("values of another realm arrive as those of this one", () => {
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
  test(`${runtime} sends values of another realm back as those of this one`, async () => {
    const target = newTarget();
    await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const values = otherRealm.map(there);
    assertSame(await remote.echo(...values), structuredClone(values));
  });
}

test("what an object is does not depend on its prototype", () => {
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
  // What says that it is something else is not believed.
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

test("properties of the user do not stand in for slots", () => {
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
  ["a SharedArrayBuffer", () => new SharedArrayBuffer(4)],
  ["a SharedArrayBuffer", () => there("new SharedArrayBuffer(4)")],
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
  ["a File", () => new File(["a"], "name")],
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

test("what cannot be sent is refused by name and path", () => {
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

test("what structuredClone refuses is refused, and what it takes comes back", () => {
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

/** Takes the memory of a buffer away. */
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

test("a buffer that is gone is named, with the path", () => {
  for (const [name, make] of lost) {
    assertThrowsCode(() => encode({ a: [make()] }), "NOT_SERIALIZABLE", `a[0]: it is ${name}`);
  }
  // What is short for another reason is not.
  assertEquals(roundTrip(new Uint8Array(0)), new Uint8Array(0));
  assertEquals(roundTrip(new DataView(new ArrayBuffer(0))), new DataView(new ArrayBuffer(0)));
  assertEquals(roundTrip(shrunk((buffer) => new Uint8Array(buffer))), new Uint8Array(4));
});

test("a buffer that goes while the value is encoded is told, whoever reads it first", () => {
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

test("a Proxy is named, with the path, and stands for nothing", () => {
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
    // An error is told whatever it carries.
    const error = Object.assign(new Error("told", { cause: proxy }), { proxy, more: 1 });
    const found = roundTrip(error) as Error & { more: number };
    assertEquals([found.message, found.more, "proxy" in found], ["told", 1, false]);
    assertEquals(found.cause, "a Proxy");
  }
});

/** So many arrays, one in the other. */
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

/** Ways in which code of the user throws while a value is read. */
const troubles: [string, (thrown: unknown) => unknown][] = [
  ["a getter", (thrown) => ({
    get a() {
      throw thrown;
    },
  })],
  ["a getter deep inside", (thrown) => [
    new Map([["k", {
      get a() {
        throw thrown;
      },
    }]]),
  ]],
  ["an item", (thrown) =>
    Object.defineProperty([1, 2, 3], 1, {
      get() {
        throw thrown;
      },
    })],
  ["an item of a long array", (thrown) =>
    Object.defineProperty(new Array(500).fill(1), 250, {
      get() {
        throw thrown;
      },
    })],
  ["a trap", (thrown) => [
    new Proxy({ a: 1 }, {
      ownKeys() {
        throw thrown;
      },
    }),
  ]],
  ["a trap for values", (thrown) => [
    new Proxy({ a: 1 }, {
      get() {
        throw thrown;
      },
    }),
  ]],
  ["a prototype", (thrown) =>
    Object.create(
      new Proxy({}, {
        has() {
          throw thrown;
        },
      }),
    )],
];

for (const transport of transports) {
  test(`${transport.title}: what user code throws while a result is read reaches the caller as REMOTE`, async () => {
    const target = transport.newTarget();
    const outcomes: string[] = [];
    const api = {
      now: (index: number) => troubles[index]![1](new RangeError("mine")),
      later: async (index: number) => {
        await Promise.resolve();
        return troubles[index]![1](new RangeError("mine"));
      },
      *items(index: number) {
        yield 1;
        yield troubles[index]![1](new RangeError("mine"));
      },
      other: (index: number) =>
        troubles[0]![1]([undefined, "a text", new TandemError("CLOSED", "mine")][index]),
      fine: () => 1,
    };
    await using service = serve(target, api, {
      onCall: ({ outcome }) => void outcomes.push(outcome),
    });
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (const [index, [name]] of troubles.entries()) {
      for (
        const promise of [remote.now(index), remote.later(index), collect(remote.items(index))]
      ) {
        const error = await rejection<RemoteError>(promise);
        assertInstanceOf(error, RemoteError, name);
        assertEquals([error.code, error.remoteName, error.remoteMessage], [
          "REMOTE",
          "RangeError",
          "mine",
        ]);
      }
    }
    assertEquals((await rejection<RemoteError>(remote.other(0))).code, "REMOTE");
    const texts = await rejection<RemoteError>(remote.other(1));
    assertEquals([texts.code, texts.remoteMessage], ["REMOTE", "a text"]);
    // Not taken for one of its own.
    const closed = await rejection<RemoteError>(remote.other(2));
    assertEquals([closed.code, closed.remoteName], ["REMOTE", "TandemError"]);
    assertEquals(await remote.fine(), 1);
    assertEquals(outcomes.filter((outcome) => outcome === "CORRUPT"), []);
    service.unlink();
  });
}

for (const transport of transports) {
  test(`${transport.title}: what user code throws while an argument is read is thrown as it is`, async () => {
    const target = transport.newTarget();
    const api = { take: (_value: unknown) => 1 };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (const [name, make] of troubles) {
      const thrown = new RangeError("mine");
      assert(await rejection(remote.take(make(thrown))) === thrown, name);
    }
    assertEquals(await remote.take({}), 1);
    service.unlink();
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: refusals and failures of results, by their codes`, async () => {
    const target = newTarget();
    await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const getter = await rejection<RemoteError>(remote.troubled("getter"));
    assertEquals([getter.code, getter.remoteMessage], ["REMOTE", "of a getter"]);
    const trap = await rejection<RemoteError>(remote.troubled("trap"));
    assertEquals([trap.code, trap.remoteMessage], ["REMOTE", "of a trap"]);
    await assertRejectsCode(remote.troubled("proxy"), "NOT_SERIALIZABLE", "a[0]: it is a Proxy");
    await assertRejectsCode(remote.troubled("revoked"), "NOT_SERIALIZABLE", "it is a Proxy");
    await assertRejectsCode(remote.troubled("detached"), "NOT_SERIALIZABLE", "detached");
    await assertRejectsCode(remote.troubled("intl"), "NOT_SERIALIZABLE", "an Intl.Collator");
    const error = await rejection(remote.troubled("deep"));
    assertStringIncludes(error.message, "nested deeper than 1000");
    assert(error.message.length < 300, error.message);
    assertEquals(await remote.add(1, 2), 3);
  });
}

for (const transport of transports) {
  test(`${transport.title}: errors that are thrown are told, of whatever realm, class or Proxy they are`, async () => {
    const target = transport.newTarget();
    // As classes were written before there was `class`.
    function Old(this: Error, message: string): void {
      this.message = message;
    }
    Old.prototype = Object.create(Error.prototype, { name: { value: "Old" } });
    const made = new (Old as unknown as new (message: string) => Error)("of old");
    const errors: Record<string, unknown> = {
      realm: there("new RangeError('of a realm')"),
      proxied: new Proxy(new RangeError("behind a Proxy"), {}),
      old: made,
      dom: new DOMException("of the Web", "AbortError"),
    };
    const api = {
      fail: (name: string) => {
        throw errors[name];
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const told = async (name: string) => {
      const error = await rejection<RemoteError>(remote.fail(name));
      assertInstanceOf(error, RemoteError, name);
      return [error.remoteName, error.remoteMessage];
    };
    assertEquals(await told("realm"), ["RangeError", "of a realm"]);
    assertEquals(await told("proxied"), ["RangeError", "behind a Proxy"]);
    assertEquals(await told("old"), ["Old", "of old"]);
    assertEquals(await told("dom"), ["AbortError", "of the Web"]);
    service.unlink();
  });
}

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

test("long arrays come back as they were", () => {
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

test("numbers are read from wherever the message begins", () => {
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

test("what was left out of an error is forgotten, and what it shared is sent", () => {
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
