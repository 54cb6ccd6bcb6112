/**
 * Metadata: values that travel with a call beside its arguments.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import type { Decoder } from "../codec/decoder.ts";
import { corrupt } from "../codec/reader.ts";

/**
 * Values that a caller sends beside the arguments, by key: a token, a tenant, the id of a request. The
 * called method finds them in {@linkcode CallContext.metadata}.
 */
export type Metadata = Readonly<Record<string, unknown>>;

/** Without a prototype, so that a key such as `constructor` finds only what the caller sent. */
export const noMetadata: Metadata = Object.freeze(Object.create(null));

/** A frozen copy for users, without a prototype. Keys such as `__proto__` are keys like all others. */
export function copyMetadata(values: Metadata): Metadata {
  const copy: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(values)) copy[key] = values[key];
  return Object.freeze(copy);
}

/** @throws {TypeError} unless the value is an object whose properties can be metadata */
export function checkMetadata(value: unknown): asserts value is Metadata {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const prototype = Object.getPrototypeOf(value);
    // An object of another realm has that realm's Object.prototype.
    if (prototype === null || Object.getPrototypeOf(prototype) === null) return;
  }
  throw new TypeError(
    `Cannot use ${describe(value)} as metadata: give an object with a property for each key; ` +
      "for a Map or Headers, Object.fromEntries(…) makes one",
  );
}

/**
 * The metadata of a call, to be sent: those of its remote, with `added` key by key. A key whose value is
 * undefined is left out.
 *
 * @returns undefined: nothing is to be sent
 * @throws {TypeError} unless `added` is undefined or an object
 */
export function mergeMetadata(base: Metadata | undefined, added: unknown): Metadata | undefined {
  if (added === undefined) return base;
  checkMetadata(added);
  const merged: Record<string, unknown> = Object.create(null);
  for (const values of [base ?? noMetadata, added]) {
    // Each property is read once, because it may be a getter.
    for (const key of Object.keys(values)) merged[key] = values[key];
  }
  const entries = Object.entries(merged).filter(([, value]) => value !== undefined);
  // With the usual prototype, because the encoder takes it faster.
  return entries.length === 0 ? undefined : Object.freeze(Object.fromEntries(entries));
}

/** Reads the metadata of a call, which another process has sent. */
export function readMetadata(decoder: Decoder): Metadata {
  const value = decoder.value();
  // All other objects that the decoder makes have another prototype.
  if (
    typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype
  ) return value as Metadata;
  throw corrupt("its metadata is no object");
}
