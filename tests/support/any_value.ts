/**
 * Arbitrary values of every type that `structuredClone` takes, with shared references and cycles, and a
 * fixed list of them.
 *
 * @module
 */
import fc from "fast-check";

/** Bun's drops the cause of an error. */
export const clonesCauses: boolean =
  (structuredClone(new Error("", { cause: 1 })) as Error).cause === 1;

let hasCauses = clonesCauses;

/** Code units, lone surrogates among them. */
const text: fc.Arbitrary<string> = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 5 })
    .map((units) => String.fromCharCode(...units)),
);

const key: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: text },
  fc.constantFrom("__proto__", "constructor", "toString", "length", "0", "7", "-1", "then", "name"),
);

const primitive: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 300n), max: 2n ** 300n }),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 31), 2 ** 32),
);

const bytes: fc.Arbitrary<Uint8Array<ArrayBuffer>> = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  fc.integer({ min: 1_000, max: 3_000 }).map((length) => new Uint8Array(length).fill(length)),
).map((bytes) => new Uint8Array(bytes));

/** The oldest supported Node has no Float16Array. */
export const hasFloat16: boolean = "Float16Array" in globalThis;

type ViewClass = new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayBufferView;
const oldViews: readonly (readonly [ViewClass, number])[] = [
  [DataView, 1],
  [Int8Array, 1],
  [Uint8Array, 1],
  [Uint8ClampedArray, 1],
  [Int16Array, 2],
  [Uint16Array, 2],
  [Int32Array, 4],
  [Uint32Array, 4],
  [Float32Array, 4],
  [Float64Array, 8],
  [BigInt64Array, 8],
  [BigUint64Array, 8],
];
const allViews: typeof oldViews = hasFloat16 ? [...oldViews, [Float16Array, 2]] : oldViews;
let views = allViews;

function sharedOf(bytes: Uint8Array, more: number | undefined): SharedArrayBuffer {
  const { byteLength } = bytes;
  const options = more === undefined ? undefined : { maxByteLength: byteLength + more };
  const buffer = new SharedArrayBuffer(byteLength, options);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

function bufferOf(bytes: Uint8Array, more: number | undefined): ArrayBuffer {
  const { byteLength } = bytes;
  const options = more === undefined ? undefined : { maxByteLength: byteLength + more };
  const buffer = new ArrayBuffer(byteLength, options as { maxByteLength: number });
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

/** Makes a view of a part of a buffer. */
function viewOf(buffer: ArrayBufferLike, kind: number, from: number): ArrayBufferView {
  const [View, width] = views[kind % views.length]!;
  const items = Math.floor(buffer.byteLength / width);
  const begin = items === 0 ? 0 : from % items;
  return new View(buffer, begin * width, Math.floor((items - begin + 1) / 2));
}

const more: fc.Arbitrary<number | undefined> = fc.option(fc.nat(50), { nil: undefined });
const blobType: fc.Arbitrary<string> = fc.constantFrom("", "image/png", "x/y;z=w");

/** Objects without others inside, made anew each time. */
const leaf: fc.Arbitrary<() => object> = fc.oneof(
  fc.oneof(fc.integer(), fc.double()).map((time) => () => new Date(time)),
  fc.tuple(
    fc.constantFrom("", "a", "[^]", "\\p{L}", "(?<n>x)\\k<n>", "/", "\n", "ü😀"),
    fc.constantFrom("", "g", "i", "gimsuy", "dgimsvy", "u", "v"),
  ).map(([source, flags]) => () => new RegExp(source, flags)),
  fc.oneof(text, fc.double(), fc.bigInt(), fc.boolean()).map((value) => () => Object(value)),
  fc.tuple(bytes, more).map(([bytes, more]) => () => bufferOf(bytes, more)),
  fc.tuple(bytes, more).map(([bytes, more]) => () => sharedOf(bytes, more)),
  fc.tuple(bytes, fc.nat(), fc.nat()).map(([bytes, kind, from]) => () =>
    viewOf(bufferOf(bytes, undefined), kind, from)
  ),
  fc.tuple(bytes, blobType).map(([bytes, type]) => () => new Blob([bytes], { type })),
  fc.tuple(bytes, blobType, fc.string(), fc.nat()).map(([bytes, type, name, lastModified]) => () =>
    new File([bytes], name, { type, lastModified })
  ),
  fc.tuple(text, fc.constantFrom("AbortError", "DataCloneError", "Own")).map(
    ([message, name]) => () => new DOMException(message, name),
  ),
);

/** A reference to a node, or a primitive. */
type Ref = { readonly node: number } | { readonly value: unknown };
const ref: fc.Arbitrary<Ref> = fc.oneof(
  fc.nat(30).map((node) => ({ node })),
  primitive.map((value) => ({ value })),
);

const errorClasses = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
] as const;

class Point {
  x = 1;
  #y = 2;
  get y(): number {
    return this.#y;
  }
}

/** An object that is made first, and filled with others later, so that it can be inside of itself. */
interface Node {
  make(): object;
  /** @param get finds the value of a reference */
  fill(object: object, get: (ref: Ref) => unknown): void;
}

const pairs: fc.Arbitrary<[string, Ref][]> = fc.array(fc.tuple(key, ref), { maxLength: 5 });

function define(object: object, key: string, value: unknown): void {
  // An assignment to `__proto__` would set the prototype.
  Object.defineProperty(object, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

const node: fc.Arbitrary<Node> = fc.oneof(
  leaf.map((make) => ({ make, fill: () => {} })),
  fc.tuple(pairs, fc.constantFrom("plain", "bare", "class")).map(([pairs, kind]) => ({
    make: () => kind === "plain" ? {} : kind === "bare" ? Object.create(null) : new Point(),
    fill: (object: object, get: (ref: Ref) => unknown) => {
      for (const [key, ref] of pairs) define(object, key, get(ref));
    },
  })),
  // With holes, and with properties that are no items.
  fc.tuple(fc.array(fc.option(ref), { maxLength: 8 }), fc.nat(3), pairs).map((
    [items, holes, pairs],
  ) => ({
    make: () => [] as unknown[],
    fill: (object: object, get: (ref: Ref) => unknown) => {
      const array = object as unknown[];
      items.forEach((ref, index) => {
        if (ref) array[index] = get(ref);
      });
      array.length = items.length + holes;
      for (const [key, ref] of pairs) {
        if (key !== "length" && !/^\d/.test(key)) define(array, key, get(ref));
      }
    },
  })),
  // Long arrays take ways of their own.
  fc.tuple(fc.integer({ min: 60, max: 90 }), fc.array(ref, { maxLength: 3 }), fc.nat(3)).map((
    [length, refs, kind],
  ) => ({
    make: () => [] as unknown[],
    fill: (object: object, get: (ref: Ref) => unknown) => {
      const array = object as unknown[];
      for (let index = 0; index < length; index++) {
        array[index] = kind === 0 ? index : kind === 1 ? index / 7 : kind === 2 ? `${index}` : null;
      }
      for (const [index, ref] of refs.entries()) array[index * 20] = get(ref);
      if (kind === 3) delete array[length >> 1];
    },
  })),
  fc.array(fc.tuple(ref, ref), { maxLength: 5 }).map((entries) => ({
    make: () => new Map(),
    fill: (object: object, get: (ref: Ref) => unknown) => {
      const map = object as Map<unknown, unknown>;
      for (const [key, value] of entries) map.set(get(key), get(value));
    },
  })),
  fc.array(ref, { maxLength: 5 }).map((items) => ({
    make: () => new Set(),
    fill: (object: object, get: (ref: Ref) => unknown) => {
      for (const item of items) (object as Set<unknown>).add(get(item));
    },
  })),
  fc.tuple(fc.constantFrom(...errorClasses), text, ref).map(([Class, message, cause]) => ({
    make: () => new Class(message),
    fill: (object: object, get: (ref: Ref) => unknown) => {
      const hide = (name: string, value: unknown) =>
        Object.defineProperty(object, name, { value, writable: true, configurable: true });
      // The same in every process.
      hide("stack", `${message}\n    at here`);
      if (hasCauses) hide("cause", get(cause));
    },
  })),
  // Views of a buffer that they share with each other, and that is there as well.
  fc.tuple(bytes, more, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 })).map((
    [bytes, more, parts],
  ) => ({
    make: () => [] as unknown[],
    fill: (object: object) => {
      const buffer = sharedOf(bytes, more);
      const array = object as unknown[];
      for (const [kind, from] of parts) array.push(viewOf(buffer, kind, from));
      array.push(buffer);
    },
  })),
);

/** A value of up to 12 objects that refer to each other in any way. */
export const anyValue: fc.Arbitrary<unknown> = fc.tuple(
  fc.array(node, { minLength: 1, maxLength: 12 }),
  ref,
).map(([nodes, root]) => {
  const objects = nodes.map((node) => node.make());
  const get = (ref: Ref): unknown => "node" in ref ? objects[ref.node % objects.length] : ref.value;
  nodes.forEach((node, index) => node.fill(objects[index]!, get));
  return "node" in root ? get(root) : [get(root), objects[0]];
});

/**
 * Values of every type, the same in each process, for both directions between the runtimes.
 *
 * @param withFloat16 whether both processes have Float16Array
 */
export function corpus(withFloat16: boolean): unknown[] {
  // The other process may be one of Bun.
  hasCauses = false;
  views = withFloat16 ? allViews : oldViews;
  const values = fc.sample(anyValue, { seed: 20_26, numRuns: 30 });
  hasCauses = clonesCauses;
  views = allViews;
  const cycle: Record<string, unknown> = { list: [], map: new Map(), set: new Set() };
  (cycle["list"] as unknown[]).push(cycle, cycle["map"], cycle["list"]);
  (cycle["map"] as Map<unknown, unknown>).set(cycle, cycle["set"]);
  (cycle["set"] as Set<unknown>).add(cycle["map"]);
  return [...values, cycle, Object.fromEntries([["__proto__", 1]]), "\ud800", Object(2n ** 80n)];
}
