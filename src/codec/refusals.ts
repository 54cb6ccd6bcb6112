/**
 * Texts for errors about values that cannot be sent.
 *
 * @module
 */

/** The hint for a transferred buffer and its views. */
export const detachedHint = "send it before it is transferred, or send a copy";

/** The hint for functions. */
export const proxyHint = "pass proxy(fn), and the other side can call it";

/** What to send instead of values that a kind of message cannot refer to. */
export interface Instead {
  readonly function: string;
  readonly stream: string;
  readonly signal: string;
}

/** What to do instead, by class. */
export const hints: ReadonlyMap<string, string> = new Map([
  ["Promise", "await it first"],
  ["Blob", "it has the prototype of one, but no constructor made it"],
  ["File", "it has the prototype of one, but no constructor made it"],
  ["CryptoKey", "export it first, with crypto.subtle.exportKey"],
  ["SecretKeyObject", "export it first, with its export()"],
  ["KeyObject", "export it first, with its export()"],
  ["PublicKeyObject", "export it first, with its export()"],
  ["PrivateKeyObject", "export it first, with its export()"],
  ["WebAssembly.Module", "send the bytes that it was compiled from"],
  ["ImageData", "send its data, width and height"],
  ["FormData", "send its entries as an array"],
  ["AbortController", "send its signal"],
  ["AbortSignal", "it has the prototype of one, but no constructor made it"],
  ["URL", "send its href"],
  ["URLSearchParams", "send its text, or its entries as an array"],
  ["Headers", "send its entries as an array"],
  ["Request", "send its method, url, headers and bytes"],
  ["Response", "send its status, headers and bytes, or its body, which is a stream"],
  ["WritableStream", "send a ReadableStream"],
  ["TransformStream", "send its readable side"],
]);

/** `it is a Promise` */
export function isA(name: string): string {
  return `it is ${/^[AEIOaeio]/.test(name) ? "an" : "a"} ${name}`;
}
