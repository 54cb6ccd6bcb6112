/**
 * The messages between clients and the server of the cache, in JSON.
 *
 * @module
 */

/** A request of a client. */
export type Command =
  | { readonly op: "get"; readonly key: string }
  | { readonly op: "set"; readonly key: string; readonly value: unknown }
  | { readonly op: "delete"; readonly key: string }
  | { readonly op: "increment"; readonly key: string }
  | { readonly op: "keys" }
  | { readonly op: "quit" };
