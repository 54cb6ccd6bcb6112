/**
 * What clients and the server of the cache say to each other, as JSON.
 *
 * @module
 */

/** What a client may ask for. */
export type Command =
  | { readonly op: "get"; readonly key: string }
  | { readonly op: "set"; readonly key: string; readonly value: unknown }
  | { readonly op: "delete"; readonly key: string }
  | { readonly op: "increment"; readonly key: string }
  | { readonly op: "keys" }
  | { readonly op: "quit" };
