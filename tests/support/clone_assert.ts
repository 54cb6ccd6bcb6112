/**
 * Compares what has arrived with what `structuredClone` makes, to the last detail. The differences that
 * docs/values.md lists are the only ones that it allows.
 *
 * @module
 */
import { assert, assertEquals, AssertionError } from "@std/assert";

/** The oldest supported Node makes a Blob of a File. */
const clonesFiles = structuredClone(new File([], "")) instanceof File;

/** Pairs of found and wanted objects, which must match one to one. */
interface Pairs {
  readonly byWanted: Map<object, object>;
  readonly byFound: Map<object, object>;
  /** Blobs, whose bytes are compared last. */
  readonly blobs: [Blob, Blob][];
}

/** Asserts that `found` equals `wanted`: values, classes, properties and their order, shared references. */
export async function assertCloned(found: unknown, wanted: unknown): Promise<void> {
  const pairs: Pairs = { byWanted: new Map(), byFound: new Map(), blobs: [] };
  compare(found, wanted, "value", pairs);
  for (const [one, other] of pairs.blobs) {
    assertEquals(
      new Uint8Array(await one.arrayBuffer()),
      new Uint8Array(await other.arrayBuffer()),
    );
  }
}

function compare(found: unknown, wanted: unknown, path: string, pairs: Pairs): void {
  if (typeof wanted !== "object" || wanted === null) {
    if (!Object.is(found, wanted)) fail(`${path}: ${show(found)} is not ${show(wanted)}`);
    return;
  }
  if (typeof found !== "object" || found === null) fail(`${path}: ${show(found)} is no object`);
  const before = pairs.byWanted.get(wanted);
  if (before !== undefined || pairs.byFound.has(found)) {
    assert(before === found, `${path}: another object than before, or one instead of two`);
    return;
  }
  pairs.byWanted.set(wanted, found);
  pairs.byFound.set(found, wanted);
  // Its name and date have been lost here; tests of Blobs compare them with those that were sent.
  if (!clonesFiles && wanted instanceof Blob && found instanceof File) {
    return compareContents(found, wanted, path, pairs);
  }
  assertEquals(tagOf(found), tagOf(wanted), path);
  const classes = [found, wanted].map((value) => Object.getPrototypeOf(value));
  assert(classes[0] === classes[1], `${path}: an object of another class`);
  assert(Object.isExtensible(found), path);
  if (wanted instanceof Error) return compareErrors(found as Error, wanted, path, pairs);
  if (wanted instanceof Blob) return compareBlobs(found as Blob, wanted, path, pairs);
  if (ArrayBuffer.isView(wanted)) {
    return compareViews(found as ArrayBufferView, wanted, path, pairs);
  }
  compareSlots(found, wanted, path, pairs);
  const keys = Reflect.ownKeys(wanted);
  assertEquals(Reflect.ownKeys(found), keys, path);
  for (const key of keys) {
    const [one, other] = [found, wanted].map((value) => {
      return Object.getOwnPropertyDescriptor(value, key)!;
    }) as [PropertyDescriptor, PropertyDescriptor];
    const step = `${path}.${String(key)}`;
    assertEquals(
      [one.writable, one.enumerable, one.configurable, one.get],
      [other.writable, other.enumerable, other.configurable, undefined],
      step,
    );
    compare(one.value, other.value, step, pairs);
  }
}

function fail(message: string): never {
  throw new AssertionError(message);
}

/** Objects may have a `toString` that is no function. */
const show = (value: unknown): string =>
  typeof value === "object" && value !== null ? tagOf(value) : String(value);

const tagOf = (value: unknown): string => Object.prototype.toString.call(value);

/** What the objects hold beside their properties. */
function compareSlots(found: object, wanted: object, path: string, pairs: Pairs): void {
  if (
    wanted instanceof Date || wanted instanceof Number || wanted instanceof String ||
    wanted instanceof Boolean || wanted instanceof BigInt
  ) {
    const [one, other] = [found.valueOf(), wanted.valueOf()];
    assert(Object.is(one, other), `${path}: ${String(one)} is not ${String(other)}`);
  } else if (wanted instanceof RegExp) {
    const { source, flags } = found as RegExp;
    assertEquals([source, flags], [wanted.source, wanted.flags], path);
  } else if (wanted instanceof ArrayBuffer) {
    const { resizable, maxByteLength } = found as ArrayBuffer;
    assertEquals([resizable, maxByteLength], [wanted.resizable, wanted.maxByteLength], path);
    compareBytes(new Uint8Array(found as ArrayBuffer), new Uint8Array(wanted), path);
  } else if (wanted instanceof SharedArrayBuffer) {
    const { growable, maxByteLength } = found as SharedArrayBuffer;
    assertEquals([growable, maxByteLength], [wanted.growable, wanted.maxByteLength], path);
    assertEquals(
      [...new Uint8Array(found as SharedArrayBuffer)],
      [...new Uint8Array(wanted)],
      path,
    );
  } else if (wanted instanceof Map) {
    compareLists([...found as Map<unknown, unknown>].flat(), [...wanted].flat(), path, pairs);
  } else if (wanted instanceof Set) {
    compareLists([...found as Set<unknown>], [...wanted], path, pairs);
  }
}

/** The assertion library would compare each byte as a property. */
function compareBytes(found: Uint8Array, wanted: Uint8Array, path: string): void {
  const isSame = found.length === wanted.length && found.every((byte, at) => byte === wanted[at]);
  if (!isSame) fail(`${path}: other bytes`);
}

function compareLists(
  found: readonly unknown[],
  wanted: readonly unknown[],
  path: string,
  pairs: Pairs,
): void {
  assertEquals(found.length, wanted.length, path);
  wanted.forEach((item, index) => compare(found[index], item, `${path}(${index})`, pairs));
}

function compareViews(
  found: ArrayBufferView,
  wanted: ArrayBufferView,
  path: string,
  pairs: Pairs,
): void {
  assertEquals(found.byteLength, wanted.byteLength, path);
  const bytes = (view: ArrayBufferView) =>
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  compareBytes(bytes(found), bytes(wanted), path);
  // A difference: other views have a buffer of their own that holds nothing else.
  if (!(wanted.buffer instanceof SharedArrayBuffer)) {
    assertEquals([found.byteOffset, found.buffer.byteLength], [0, found.byteLength], path);
    return;
  }
  assertEquals(found.byteOffset, wanted.byteOffset, path);
  compare(found.buffer, wanted.buffer, `${path}.buffer`, pairs);
}

function compareBlobs(found: Blob, wanted: Blob, path: string, pairs: Pairs): void {
  assertEquals(found instanceof File, wanted instanceof File, path);
  if (wanted instanceof File) {
    const { name, lastModified } = found as File;
    assertEquals([name, lastModified], [wanted.name, wanted.lastModified], path);
  }
  compareContents(found, wanted, path, pairs);
}

function compareContents(found: Blob, wanted: Blob, path: string, pairs: Pairs): void {
  assertEquals([found.size, found.type], [wanted.size, wanted.type], path);
  pairs.blobs.push([found, wanted]);
}

function compareErrors(found: Error, wanted: Error, path: string, pairs: Pairs): void {
  assertEquals([found.name, found.message], [wanted.name, wanted.message], path);
  if (wanted instanceof DOMException) {
    assertEquals((found as DOMException).code, wanted.code, path);
    return;
  }
  assertEquals(found.stack, wanted.stack, path);
  assertEquals(Object.hasOwn(found, "cause"), Object.hasOwn(wanted, "cause"), path);
  assertEquals(Object.keys(found), Object.keys(wanted), path);
  compare(found.cause, wanted.cause, `${path}.cause`, pairs);
}
