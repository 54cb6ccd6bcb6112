/** Values of another realm. */
import { createContext, runInContext } from "node:vm";

const realm = createContext({});
/** Evaluates a text in another realm, which has its own classes. */
export const there = (text: string): unknown => runInContext(text, realm);

/** Texts that evaluate to values. */
export const otherRealm: readonly string[] = [
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
