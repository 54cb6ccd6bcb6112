/**
 * Values there and back, without a channel, and how to compare them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ErrorClasses } from "../../src/codec/error_classes.ts";
import {
  Kind,
  type MessageHooks,
  type ReadHooks,
  readMessage,
  sealMessage,
  withMessage,
} from "../../src/rpc/message.ts";

/** Without streams, and without a limit for messages. */
export const hooks: MessageHooks & ReadHooks = {
  errorClasses: new ErrorClasses(),
  maxTreeBytes: 2 ** 24,
  seal(encoder, kind, flags) {
    encoder.checkTree();
    sealMessage(encoder, kind, flags);
  },
  forget() {},
};

export function encode(value: unknown, using: MessageHooks = hooks): Uint8Array<ArrayBuffer> {
  const write = (encoder: { value(value: unknown): void }) => encoder.value(value);
  return withMessage(using, Kind.value, 0, Infinity, write, (message) => {
    const bytes = new Uint8Array(message.byteLength);
    message.copyTo(bytes);
    return bytes;
  });
}

export function decode(
  message: Uint8Array<ArrayBuffer>,
  isPrivate = false,
  using: ReadHooks = hooks,
): unknown {
  return readMessage(using, message, isPrivate, ({ decoder }) => {
    const value = decoder.value();
    decoder.finish();
    return value;
  }, undefined);
}

export const roundTrip = (value: unknown): unknown => decode(encode(value));

/** Equal to the last detail, from any runtime; follows cycles once. */
export function assertSame(
  found: unknown,
  wanted: unknown,
  seen: Map<unknown, unknown> = new Map(),
): void {
  if (typeof wanted !== "object" || wanted === null) {
    assert(Object.is(found, wanted), `${String(found)} is not ${String(wanted)}`);
    return;
  }
  assert(typeof found === "object" && found !== null, "no object");
  if (seen.has(wanted)) {
    // Shared and circular references are shared in the same way.
    assert(found === seen.get(wanted), "another object than before");
    return;
  }
  seen.set(wanted, found);
  const prototypes = [found, wanted].map((value) => Object.getPrototypeOf(value)?.constructor.name);
  assertEquals(prototypes[0], prototypes[1]);
  if (wanted instanceof Date) assert(Object.is((found as Date).getTime(), wanted.getTime()));
  if (wanted instanceof RegExp) assertEquals(String(found), String(wanted));
  if (wanted instanceof Number || wanted instanceof String || wanted instanceof Boolean) {
    assert(Object.is((found as typeof wanted).valueOf(), wanted.valueOf()));
  }
  if (wanted instanceof ArrayBuffer) {
    assertSameBytes(new Uint8Array(found as ArrayBuffer), new Uint8Array(wanted));
    return;
  }
  if (ArrayBuffer.isView(wanted)) {
    const bytes = (view: ArrayBufferView) =>
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    assertSameBytes(bytes(found as ArrayBufferView), bytes(wanted));
    return;
  }
  if (wanted instanceof Map) {
    assertSame([...(found as Map<unknown, unknown>)], [...wanted], new NoIdentity(seen));
    return;
  }
  if (wanted instanceof Set) {
    assertSame([...(found as Set<unknown>)], [...wanted], new NoIdentity(seen));
    return;
  }
  if (wanted instanceof Error) {
    assertEquals((found as Error).name, wanted.name);
    assertEquals((found as Error).message, wanted.message);
    assertEquals(Object.hasOwn(found, "cause"), Object.hasOwn(wanted, "cause"));
    assertSame((found as Error).cause, wanted.cause, seen);
    return;
  }
  if (Array.isArray(wanted)) assertEquals((found as unknown[]).length, wanted.length);
  const keys = Object.keys(wanted);
  assertEquals(Object.keys(found).length, keys.length);
  for (const key of keys) {
    assert(Object.hasOwn(found, key), key);
    assertSame(Reflect.get(found, key), Reflect.get(wanted, key), seen);
  }
}

/** The assertion library would compare each byte as a property. */
function assertSameBytes(found: Uint8Array, wanted: Uint8Array): void {
  assertEquals(found.length, wanted.length);
  for (let index = 0; index < wanted.length; index++) {
    if (found[index] !== wanted[index]) assertEquals([index, found[index]], [index, wanted[index]]);
  }
}

/** Lists that the comparison makes have no identity, but their items have. */
class NoIdentity extends Map<unknown, unknown> {
  readonly #seen: Map<unknown, unknown>;

  constructor(seen: Map<unknown, unknown>) {
    super();
    this.#seen = seen;
  }

  override has(key: unknown): boolean {
    return this.#seen?.has(key) ?? false;
  }

  override get(key: unknown): unknown {
    return this.#seen.get(key);
  }

  override set(key: unknown, value: unknown): this {
    this.#seen?.set(key, value);
    return this;
  }
}
