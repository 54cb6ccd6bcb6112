/**
 * A message costs its receiver time and memory in proportion to its bytes, for any content.
 *
 * Time is compared with an array of small numbers with as many bytes in the same run.
 */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import process from "node:process";
import { connect, serve, TandemError } from "../../mod.ts";
import { chunkEntries, Effort } from "../../src/codec/effort.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import { ErrorClasses } from "../../src/codec/error_classes.ts";
import { treeBytesDefault } from "../../src/codec/tree_budget.ts";
import { readMessage } from "../../src/rpc/message.ts";
import { collidingBigints, collidingDoubles } from "./collisions.ts";
import { Grammar } from "./cost/grammar.ts";
import { type Bytes, repeated, Tree } from "./cost/tree.ts";
import { Random } from "./hostile/random.ts";
import { size, tried } from "./size.ts";
import { assertRejectsCode, newTarget, runtime, test } from "../support/harness.ts";

const hooks = {
  forget() {},
  errorClasses: new ErrorClasses(),
  maxTreeBytes: treeBytesDefault,
  openStream: () => ({}),
};

interface Outcome {
  readonly milliseconds: number;
  /** Null: it was decoded. */
  readonly error: TandemError | null;
}

/** Decodes a message. Every fault in it has to be an error with a code. */
function decode(message: Bytes, maxTreeBytes = treeBytesDefault): Outcome {
  const begun = performance.now();
  let error: unknown = null;
  try {
    const using = { ...hooks, maxTreeBytes };
    readMessage(using, message, false, ({ decoder }) => decoder.value(), undefined);
  } catch (caught) {
    error = caught;
  }
  const milliseconds = performance.now() - begun;
  if (error === null) return { milliseconds, error };
  assertInstanceOf(error, TandemError, String(error));
  assert(
    ["CORRUPT", "TOO_LARGE", "INCOMPATIBLE", "UNSUPPORTED"].includes(error.code),
    String(error),
  );
  return { milliseconds, error };
}

/** The time of an array of small numbers per byte; the quickest of several. */
function baseline(): number {
  const message = repeated(2 ** 20, (tree) => tree.bytes(7));
  const times = Array.from({ length: 5 }, () => decode(message).milliseconds);
  return Math.min(...times) / message.byteLength;
}

/** A short run may take any multiple of its usual time, for example because of a garbage collection. */
const floorMilliseconds = 1_000;
/** Times the baseline. An honest error, the costliest value for its bytes, takes 60 times. */
const factorMax = 400;

function assertCheap(what: string, message: Bytes, perByte: number): Outcome {
  const allowed = floorMilliseconds + factorMax * perByte * message.byteLength;
  // A costly message is slow every time, a busy machine is not.
  let outcome = decode(message);
  for (let again = 0; again < 2 && outcome.milliseconds > allowed; again++) {
    outcome = decode(message);
  }
  assert(
    outcome.milliseconds <= allowed,
    `${what}: ${outcome.milliseconds} ms for ${message.byteLength} bytes; an array of numbers takes ` +
      `${perByte * message.byteLength} ms; ${outcome.error}`,
  );
  return outcome;
}

const error = (tree: Tree, type = "") =>
  tree.tag(64005).head(4, 6).text(type).bytes(0x60, 0x60, 0x60, 0x80, 0xa0);

const sixty = new Array<number>(60).fill(7);
const sixtyHoles = new Array<number>(60).fill(0xe0);

/** Values that are small in a message and large in memory. */
const amplified: Readonly<Record<string, (tree: Tree, index: number) => void>> = {
  "small numbers": (tree) => tree.bytes(7),
  "arrays of one number": (tree) => tree.tag(64010).tag(72).bytes(0x41, 7),
  "arrays of short numbers": (tree) => tree.tag(64010).tag(72).head(2, 60).bytes(...sixty),
  "arrays of one hole": (tree) => tree.tag(64011).bytes(0x81, 0xe0),
  "arrays of holes": (tree) => tree.tag(64011).head(4, 60).bytes(...sixtyHoles),
  "booleans": (tree) => tree.bytes(0xf5),
  "empty objects": (tree) => tree.bytes(0xa0),
  "empty arrays": (tree) => tree.bytes(0x80),
  "empty byte strings": (tree) => tree.bytes(0x40),
  "empty sets": (tree) => tree.tag(258).head(4, 0),
  "empty maps": (tree) => tree.tag(259).head(5, 0),
  "arrays of one item": (tree) => tree.bytes(0x81, 0),
  "objects of one key": (tree, index) =>
    tree.head(5, 1).text((index + 50_000).toString(36)).bytes(0),
  "errors": (tree) => error(tree),
  "exceptions": (tree) => error(tree, "DOMException"),
  "references": (tree) => tree.tag(29).bytes(0),
  "sparse arrays": (tree) => tree.tag(64004).bytes(0x82, 0, 0xa0),
  "typed arrays": (tree) => tree.tag(86).bytes(0x40),
  "views": (tree) => tree.tag(64002).bytes(0x40),
  "buffers": (tree) => tree.tag(64001).bytes(0x40),
  "dates": (tree) => tree.tag(64000).bytes(0),
  "boxes": (tree) => tree.tag(64006).bytes(0),
  "bigints": (tree) => tree.tag(2).bytes(0x41, 7),
  "regular expressions": (tree) => tree.tag(21066).bytes(0x82, 0x60, 0x60),
  "streams": (tree) => tree.tag(64008).bytes(0x82, 0, 0),
  "short texts": (tree, index) => tree.text((index + 50_000).toString(36)),
  "code units": (tree) => tree.tag(64003).bytes(0x42, 0, 0xd8),
};

/** Values without an identity; all others count as objects. */
const plain: ReadonlySet<string> = new Set([
  "small numbers",
  "booleans",
  "references",
  "bigints",
  "short texts",
  "code units",
]);

/** The number of objects that a value counts as. */
function objectsOf(what: string): number {
  if (plain.has(what)) return 0;
  return { "errors": 8, "exceptions": 8, "streams": 64 }[what] ?? 1;
}

test("values count as much as they take in memory", () => {
  const budget = 2 ** 18;
  for (const [what, write] of Object.entries(amplified)) {
    const bytesEach = repeated(1_000, write).byteLength / 1_000;
    const most = budget / (16 * objectsOf(what) + bytesEach);
    assertEquals(decode(repeated(Math.floor(most * 0.97), write), budget).error, null, what);
    const { error } = decode(repeated(Math.ceil(most * 1.03), write), budget);
    assertEquals(error?.code, "TOO_LARGE", `${what}: ${error}`);
  }
});

test("values of the default budget take time in proportion to their bytes, and memory that a process has", () => {
  const perByte = baseline();
  for (const [what, write] of Object.entries(amplified)) {
    const bytesEach = repeated(1_000, write).byteLength / 1_000;
    const most = treeBytesDefault / (16 * objectsOf(what) + bytesEach);
    const message = repeated(Math.floor(Math.min(most * 0.97, 2 ** 21)), write);
    const before = process.memoryUsage().rss;
    const { error } = assertCheap(what, message, perByte);
    const taken = process.memoryUsage().rss - before;
    assertEquals(error, null, what);
    // Including uncollected garbage.
    assert(taken < 64 * treeBytesDefault, `${what}: ${taken} bytes for ${message.byteLength}`);
  }
});

function setOf(keys: readonly (number | bigint)[]): Bytes {
  const tree = new Tree().tag(258).head(4, keys.length);
  for (const key of keys) typeof key === "number" ? tree.double(key) : tree.bigint(key);
  return tree.message;
}

function mapOf(keys: readonly (number | bigint)[]): Bytes {
  const tree = new Tree().tag(259).head(5, keys.length);
  for (const key of keys) {
    (typeof key === "number" ? tree.double(key) : tree.bigint(key)).bytes(0);
  }
  return tree.message;
}

test("keys that collide do not block the receiver", () => {
  const perByte = baseline();
  for (const keys of [collidingDoubles(110_000), collidingBigints(60_000)]) {
    for (const message of [setOf(keys), mapOf(keys)]) {
      const { error } = assertCheap("colliding keys", message, perByte);
      if (runtime === "bun") continue;
      // V8 would take twenty seconds.
      assertEquals(error?.code, "TOO_LARGE");
      assertStringIncludes(error!.message, "collide");
    }
  }
  // Many small collections.
  const keys = collidingDoubles(2_000);
  const many = new Tree().head(4, 200);
  for (let index = 0; index < 200; index++) {
    many.tag(258).head(4, keys.length);
    for (const key of keys) many.double(key);
  }
  assertCheap("many colliding sets", many.message, perByte);
});

test("a million honest keys pass", () => {
  const count = 600_000;
  const doubles = Array.from({ length: count }, (_, index) => index * 1.25 + 0.1);
  assertEquals(decode(setOf(doubles)).error, null);
  assertEquals(decode(mapOf(doubles)).error, null);
  const texts = new Tree().head(5, count);
  for (let index = 0; index < count; index++) texts.text(`key-${index}`).bytes(0);
  assertEquals(decode(texts.message).error, null);
});

test("the guard counts time, not stops, and measures a slow machine", () => {
  const million = Math.ceil(1e6 / chunkEntries);
  // Stopped for a minute, twice: honest.
  const stopped = new Effort();
  for (let chunk = 0; chunk < million; chunk++) {
    const begun = stopped.begin();
    stopped.end(chunk % 1000 === 0 ? begun - 60_000 : begun, chunkEntries);
  }
  // Each chunk takes fifteen milliseconds, of which four count: hostile.
  const slow = new Effort();
  let chunks = 0;
  let error: unknown;
  try {
    for (; chunks < million; chunks++) slow.end(slow.begin() - 15, chunkEntries);
  } catch (caught) {
    error = caught;
  }
  assertInstanceOf(error, TandemError);
  assert(chunks >= 30 && chunks < million, `${chunks} chunks`);
  // The next message starts from zero.
  slow.reset();
  for (let chunk = 0; chunk < million; chunk++) slow.end(slow.begin(), chunkEntries);
});

const expressions: Readonly<Record<string, readonly [source: string, flags: string]>> = {
  "named groups": [Array.from({ length: 8_000 }, (_, index) => `(?<a${index}>)`).join(""), ""],
  "alternatives with one name": ["(?<a>x)|".repeat(8_000) + "x", ""],
  "properties": ["\\p{L}".repeat(13_000), "u"],
  "complements": ["\\P{L}".repeat(13_000), "iu"],
  "properties of strings": ["\\p{RGI_Emoji}".repeat(4_000), "v"],
  "in a class": ["[\\p{RGI_Emoji}--\\q{a}]".repeat(2_000), "v"],
  "classes": ["[^\\w]".repeat(13_000), "iu"],
  "groups": ["()".repeat(30_000), ""],
  "nested groups": ["(?:".repeat(15_000) + ")".repeat(15_000), ""],
  "a plain source": ["a".repeat(60_000), ""],
  "no expression": ["a".repeat(60_000) + "(", ""],
};

test("regular expressions take little time, one and many of them", () => {
  const perByte = baseline();
  for (const [what, [source, flags]] of Object.entries(expressions)) {
    for (const parts of [1, 100]) {
      // The same in pieces, each of which is harmless.
      const length = Math.floor(source.length / parts);
      const message = repeated(parts, (tree, index) => {
        const piece = parts === 1 ? source : source.slice(index * length, (index + 1) * length);
        tree.tag(21066).head(4, 2).text(piece).text(flags);
      });
      assertCheap(what, message, perByte);
    }
  }
});

test("a regular expression that costs too much is refused on both sides", async () => {
  const source = "(?<a>x)|".repeat(300) + "x";
  const message = repeated(1, (tree) => tree.tag(21066).head(4, 2).text(source).text(""));
  const { error } = decode(message);
  assertEquals(error?.code, "CORRUPT");
  assertStringIncludes(error!.message, "named groups");
  const target = newTarget();
  const api = { take: (value: unknown) => value };
  await using service = serve(target, api);
  using remote = connect<typeof api>(target);
  const costly = new RegExp(source);
  await assertRejectsCode(
    remote.take({ filter: [costly] }),
    "NOT_SERIALIZABLE",
    "arguments[0].filter[0]",
    "named groups",
  );
  const long = new RegExp("a".repeat(70_000));
  await assertRejectsCode(remote.take(long), "NOT_SERIALIZABLE", "characters");
  const honest = /(?<year>\d{4})-(?<month>\d\d)|\p{Lu}/u;
  assertEquals(String(await remote.take(honest)), String(honest));
  service.unlink();
});

test("a budget for values holds on both sides, and is an option", async () => {
  const target = newTarget();
  const api = {
    take: (value: unknown[]) => value.length,
    give: (count: number) => new Array<number>(count).fill(1),
    objects: (count: number) => Array.from({ length: count }, () => ({})),
    bytes: (bytes: Uint8Array) => bytes.byteLength,
  };
  const options = { maxTreeBytes: 2 ** 16 };
  await using service = serve(target, api, options);
  using small = connect<typeof api>(target, options);
  using large = connect<typeof api>(target, { maxTreeBytes: 2 ** 20 });
  const advice = ["maxTreeBytes", "stream", "both sides"];
  const numbers = (count: number) => new Array<number>(count).fill(1);
  const objects = (count: number) => Array.from({ length: count }, () => ({}));
  // The sender's budget, then the receiver's.
  await assertRejectsCode(small.take(numbers(2 ** 16)), "TOO_LARGE", "send", ...advice);
  await assertRejectsCode(large.take(numbers(2 ** 16)), "TOO_LARGE", "take", ...advice);
  // Objects count more than their bytes.
  await assertRejectsCode(small.take(objects(4_000)), "TOO_LARGE", "send", ...advice);
  await assertRejectsCode(large.take(objects(4_000)), "TOO_LARGE", "take", ...advice);
  assertEquals(await small.take(objects(3_000)), 3_000);
  // In parts, where only the announcement counts.
  using huge = connect<typeof api>(target, { maxTreeBytes: 2 ** 24 });
  await assertRejectsCode(huge.take(numbers(2 ** 21)), "TOO_LARGE", "take", ...advice);
  // Answers.
  await assertRejectsCode(small.give(2 ** 16), "TOO_LARGE", "send", ...advice);
  await assertRejectsCode(small.objects(4_000), "TOO_LARGE", "send", ...advice);
  assertEquals((await small.give(60_000)).length, 60_000);
  // Byte arrays do not count.
  assertEquals(await small.bytes(new Uint8Array(2 ** 23)), 2 ** 23);
  // Nor do strings of 64 KiB or more; numbers of an array do, wherever their bytes are.
  assertEquals(await small.take(["x".repeat(2 ** 20)]), 1);
  const fractions = new Array<number>(2 ** 14).fill(0.5);
  await assertRejectsCode(small.take(fractions), "TOO_LARGE", "send", ...advice);
  await assertRejectsCode(large.take(fractions), "TOO_LARGE", "take", ...advice);
  // Nothing of it is left behind.
  assertEquals(await small.take(numbers(3)), 3);
  service.unlink();
});

test("an encoder stops before it has written much more than it may", () => {
  const encoder = new Encoder();
  encoder.begin({ ...hooks, maxTreeBytes: 2 ** 16 }, 8);
  const endless = new Array<number>(2 ** 20).fill(1);
  try {
    encoder.value(endless);
    throw new Error("it was written");
  } catch (error) {
    assertInstanceOf(error, TandemError, String(error));
    assertEquals(error.code, "TOO_LARGE");
    assert(encoder.bytes.byteLength <= 2 ** 18, String(encoder.bytes.byteLength));
  } finally {
    encoder.end();
  }
});

test("messages of the grammar cost in proportion to their bytes, or are refused", () => {
  const rounds = size(300, 20_000);
  const perByte = baseline();
  let [whole, broken, bytes] = [0, 0, 0];
  let before = process.memoryUsage().rss;
  for (let round = 0; round < rounds; round++) {
    const seed = 1 + round;
    const random = new Random(seed);
    const message = new Grammar(random, random.pick([100, 5_000, 200_000])).message();
    const { error } = assertCheap(`seed ${seed}`, message, perByte);
    const after = process.memoryUsage().rss;
    // Garbage of other tests may not be collected yet.
    const allowed = 2 ** 29 + 600 * message.byteLength;
    assert(after - before < allowed, `seed ${seed}: ${after - before} bytes of memory`);
    before = Math.min(before, after);
    bytes += message.byteLength;
    if (error) broken += 1;
    else whole += 1;
  }
  assert(whole > rounds / 10 && broken > rounds / 10, `${whole} whole, ${broken} broken`);
  tried(rounds, `messages of the grammar, ${bytes} bytes, ${whole} of them whole`);
}, { timeout: 3_600_000 });
