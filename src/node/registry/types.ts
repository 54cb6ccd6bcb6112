/**
 * What the registry tells programs.
 *
 * @module
 */
import type { PortId } from "../ids.ts";

/**
 * An entry of the registry, as it shows.
 *
 * @typeParam V the value
 */
// deno-lint-ignore no-explicit-any -- any value
export interface RegistryEntry<V = any> {
  /** A copy: whoever has it may change it. */
  readonly value: V;
  /** The node that has made the entry. */
  readonly node: string;
  /** The port that is registered; null: the entry was made with a key. */
  readonly port: PortId | null;
}

/**
 * What has changed in a family since the last change that the watch has told of.
 *
 * @typeParam V the values
 */
// deno-lint-ignore no-explicit-any -- any value
export interface RegistryChange<V = any> {
  /** All entries as they are now, by key. It belongs to whoever gets it. */
  readonly entries: Map<string, RegistryEntry<V>>;
  /** Keys that are new. The first time these are all keys. */
  readonly added: readonly string[];
  /** Keys with another value, or with an entry of another node. */
  readonly changed: readonly string[];
  /** Keys that are gone. */
  readonly deleted: readonly string[];
}

/**
 * The changes of a family, the first one at once. Changes that come while nobody asks for the next one are told as one.
 * Leaving the loop ends the watch.
 *
 * @typeParam V the values
 */
// deno-lint-ignore no-explicit-any -- any value
export interface RegistryWatch<V = any>
  extends AsyncIterableIterator<RegistryChange<V>>, Disposable, AsyncDisposable {
  /** The next change. It keeps the process alive until it comes. */
  next(): Promise<IteratorResult<RegistryChange<V>, undefined>>;
  /** Ends the watch. */
  return(): Promise<IteratorResult<RegistryChange<V>, undefined>>;
}
