/**
 * No native function of the runtime reads memory that other processes can change: such functions may read
 * each byte twice, and crash when it differs. `shared_bytes_test.ts` changes bytes while they are read; this
 * looks at every argument of the functions that the package could use.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { connect, raw, RemoteError, serve } from "../../mod.ts";
import { backend } from "../../src/runtime/current.ts";
import { newTarget, test } from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

type Anything = (this: unknown, ...args: readonly unknown[]) => unknown;
type Holder = Record<string, Anything>;

const ofGlobal = globalThis as unknown as Holder;
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Holder;

/** Native functions that read bytes. `set`, `slice` and `fill` copy them or write them, and may. */
const readers: readonly [holder: Holder, names: readonly string[]][] = [
  [TextDecoder.prototype as unknown as Holder, ["decode"]],
  [ofGlobal, ["structuredClone", "Blob"]],
  [JSON as unknown as Holder, ["parse", "stringify"]],
  [String as unknown as Holder, ["fromCharCode", "fromCodePoint"]],
  [Buffer as unknown as Holder, ["from", "concat", "compare"]],
  [Buffer.prototype as unknown as Holder, ["toString", "equals", "indexOf", "utf8Slice"]],
  [typedArray, ["join", "sort", "indexOf", "includes", "toString"]],
];

/** What native functions were given while `body` ran, and how often they were called. */
async function watched(body: () => Promise<void>): Promise<{ given: string[]; calls: number }> {
  const host = backend() as { mapping(address: number, byteLength: number): ArrayBuffer };
  const { mapping } = host;
  const shared = new WeakSet<ArrayBuffer>();
  const isShared = (value: unknown): boolean =>
    Array.isArray(value)
      ? value.some(isShared)
      : shared.has((ArrayBuffer.isView(value) ? value.buffer : value) as ArrayBuffer);
  host.mapping = function (address, byteLength) {
    const buffer = mapping.call(this, address, byteLength);
    shared.add(buffer);
    return buffer;
  };
  const given: string[] = [];
  let calls = 0;
  const undo: (() => void)[] = [() => host.mapping = mapping];
  for (const [holder, names] of readers) {
    for (const name of names) {
      const original = holder[name];
      if (typeof original !== "function") continue;
      const look = (values: readonly unknown[]) => {
        calls += 1;
        if (values.some(isShared)) given.push(`${name}\n${new Error().stack}`);
      };
      const watching = new Proxy(original, {
        apply(target, self, args) {
          look([self, ...args]);
          return Reflect.apply(target, self, args);
        },
        construct(target, args) {
          look(args);
          // Not with the proxy as the new target, which makes no real Blob.
          return Reflect.construct(target, args) as object;
        },
      });
      holder[name] = watching;
      undo.push(() => holder[name] = original);
      // By which the package recognizes a class of the runtime.
      const { prototype } = original as unknown as { prototype?: Holder };
      if (prototype?.constructor !== original) continue;
      prototype.constructor = watching;
      undo.push(() => prototype.constructor = original);
    }
  }
  try {
    await body();
  } finally {
    for (const step of undo) step();
  }
  return { given, calls };
}

async function assertPrivate(body: () => Promise<void>): Promise<void> {
  const { given, calls } = await watched(body);
  assertEquals(given, []);
  assert(calls > 0, "the package calls none of the functions any more");
}

/** Short ones lie beside the slot word, long ones in their own memory. */
const texts: readonly string[] = [
  "a",
  "ü€😀",
  "a".repeat(900),
  "ü".repeat(5_000),
  "é".repeat(200_000),
];

test("the functions that are watched notice memory of others", async () => {
  const { given } = await watched(() => {
    using pair = openPair();
    using draft = pair.client.allocate(5_000);
    new TextDecoder().decode(draft.bytes);
    structuredClone([draft.bytes]);
    return Promise.resolve();
  });
  assertEquals(given.map((text) => text.split("\n", 1)[0]), ["decode", "structuredClone"]);
});

test("a channel of bytes gives native functions only private copies", async () => {
  await assertPrivate(async () => {
    using pair = openPair();
    const { server, client } = pair;
    for (const text of texts) {
      const call = await client.send(JSON.stringify(text));
      const request = (await server.receive())!;
      assertEquals([request.text(), request.json()], [JSON.stringify(text), text]);
      request.fail(new RangeError(text, { cause: text }));
      assertThrows(() => call.readySync(), RemoteError);
      const error = await assertRejects(() => call.get(), RemoteError);
      assertEquals(error.remoteName, "RangeError");
    }
    const call = await client.send(new Uint8Array(9_000));
    const request = (await server.receive())!;
    request.reply(request.bytes);
    assertEquals(call.view()!.byteLength, 9_000);
    call.release();
  });
});

test("typed calls give native functions only private copies", async () => {
  const api = {
    echo: (value: unknown): unknown => value,
    length: raw((bytes: Uint8Array) => bytes.byteLength),
    fail(text: string): never {
      throw new TypeError(text);
    },
    async *items(values: readonly unknown[]): AsyncGenerator<unknown> {
      for (const value of values) yield value;
    },
    last: async (values: AsyncIterable<unknown>): Promise<unknown> => {
      let last: unknown;
      for await (const value of values) last = value;
      return last;
    },
  };
  const values: readonly unknown[] = [
    ...texts,
    "\ud800",
    2n ** 700n,
    new Uint8Array(20_000).fill(7),
    new Float64Array(3_000).fill(0.5),
    new Uint16Array([1, 2, 3]),
    new DataView(new ArrayBuffer(2_000)),
    new ArrayBuffer(5_000),
    new Map([["key".repeat(50), new Date(5)]]),
    /a+b/g,
    new Error("nested", { cause: "x".repeat(2_000) }),
  ];
  await assertPrivate(async () => {
    const target = newTarget();
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (const value of values) {
      const answer = await remote.echo(value);
      if (typeof value !== "object") assertEquals(answer, value);
    }
    const blob = await remote.echo(new Blob(["blob".repeat(1_000)])) as Blob;
    assertEquals(blob.size, 4_000);
    assertEquals(await remote.length(new Uint8Array(50_000)), 50_000);
    for (const text of texts) await assertRejects(() => remote.fail(text), RemoteError);
    let count = 0;
    for await (const _ of remote.items(values)) count += 1;
    assertEquals(count, values.length);
    const lent = async function* (): AsyncGenerator<unknown> {
      yield* values;
    };
    assertEquals((await remote.last(lent()) as Error).message, "nested");
    service.unlink();
  });
});
