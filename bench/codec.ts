/**
 * Compares the codec of typed calls with the libraries that come closest to `structuredClone`, in the
 * runtime that runs this file: first the values that each of them loses, then the time that each takes.
 * Every slice measures all of them, so that changes of the machine affect all. Last, it compares values of
 * many shapes and sizes with `structuredClone` and JSON.
 *
 *     bun bench/codec.ts [--check] [--slices N]
 *     deno run -A bench/codec.ts
 *
 * @module
 */
import { decode as decodeCbor2, encode as encodeCbor2 } from "cbor2";
import { Packr } from "msgpackr/pack";
import { ErrorClasses } from "../src/codec/error_classes.ts";
import { Kind, readMessage, sealMessage, withMessage } from "../src/rpc/message.ts";
import { judge, parseOptions } from "./lib/options.ts";
import { jsonOf, shapes } from "./lib/shapes.ts";
import { fixed, summarize } from "./lib/stats.ts";

interface Codec {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

const hooks = {
  errorClasses: new ErrorClasses(),
  maxTreeBytes: 2 ** 30,
  seal: (encoder: Parameters<typeof sealMessage>[0], kind: number) => sealMessage(encoder, kind),
  forget: () => {},
};

/** Returns a view of its own buffer, as the others do. */
const ours: Codec = {
  encode: (value) =>
    withMessage(hooks, Kind.value, 0, Infinity, (encoder) => encoder.value(value), (message) => {
      if (message.whole) return message.whole;
      const bytes = new Uint8Array(message.byteLength);
      message.copyTo(bytes);
      return bytes;
    }),
  decode: (bytes) => {
    const message = bytes as Uint8Array<ArrayBuffer>;
    return readMessage(hooks, message, true, ({ decoder }) => decoder.value(), undefined);
  },
};

const packr = new Packr({ structuredClone: true });
const texts = { encoder: new TextEncoder(), decoder: new TextDecoder() };

const codecs: Readonly<Record<string, Codec>> = {
  "this package": ours,
  msgpackr: { encode: (value) => packr.pack(value), decode: (bytes) => packr.unpack(bytes) },
  cbor2: { encode: (value) => encodeCbor2(value), decode: (bytes) => decodeCbor2(bytes) },
  JSON: {
    encode: (value) => texts.encoder.encode(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(texts.decoder.decode(bytes)),
  },
};

interface Trial {
  readonly what: string;
  readonly value: unknown;
  // deno-lint-ignore no-explicit-any -- a codec may return anything
  isKept(found: any): boolean;
}

const cycle: Record<string, unknown> = {};
cycle["self"] = cycle;
const shared = {};

/** Values that `structuredClone` keeps. */
const trials: readonly Trial[] = [
  { what: "-0", value: -0, isKept: (found) => Object.is(found, -0) },
  {
    what: "undefined",
    value: { a: undefined },
    isKept: (found) => "a" in found && found.a === undefined,
  },
  { what: "NaN", value: NaN, isKept: Number.isNaN },
  { what: "bigint", value: [5n, 2n ** 200n], isKept: ([a, b]) => a === 5n && b === 2n ** 200n },
  {
    what: "Date",
    value: new Date(1_234_567_890_123),
    isKept: (found) => +found === 1_234_567_890_123,
  },
  {
    what: "invalid Date",
    value: new Date(NaN),
    isKept: (found) => found instanceof Date && isNaN(+found),
  },
  {
    what: "Map",
    value: new Map([[{}, 1]]),
    isKept: (found) => found instanceof Map && found.size === 1,
  },
  { what: "Set", value: new Set(["a"]), isKept: (found) => found instanceof Set && found.has("a") },
  { what: "RegExp", value: /a\/b/giu, isKept: (found) => String(found) === "/a\\/b/giu" },
  {
    what: "Error",
    value: new RangeError("x", { cause: new TypeError("y") }),
    isKept: (found) => found instanceof RangeError && found.cause instanceof TypeError,
  },
  {
    what: "Float64Array",
    value: new Float64Array([1]),
    isKept: (found) => found instanceof Float64Array,
  },
  {
    what: "ArrayBuffer",
    value: new ArrayBuffer(3),
    isKept: (found) => found instanceof ArrayBuffer,
  },
  {
    what: "DataView",
    value: new DataView(new ArrayBuffer(3)),
    isKept: (found) => found instanceof DataView,
  },
  { what: "cycles", value: cycle, isKept: (found) => found.self === found },
  { what: "shared", value: [shared, shared], isKept: ([a, b]) => a === b },
  { what: "holes", value: [1, , 3], isKept: (found) => found.length === 3 && !(1 in found) },
  { what: "lone surrogates", value: "a\ud800", isKept: (found) => found === "a\ud800" },
  {
    what: "__proto__",
    value: JSON.parse('{"__proto__":{"p":1}}'),
    isKept: (found) => Object.hasOwn(found, "__proto__"),
  },
  {
    what: "array properties",
    value: Object.assign([1], { a: 1 }),
    isKept: (found) => found.a === 1,
  },
];

const record = {
  id: 123_456,
  name: "Ada Example",
  email: "ada@example.com",
  tags: ["a", "b", "c"],
  position: { x: 1.5, y: -2, visible: true },
};

const loads: Readonly<Record<string, unknown>> = {
  "a call of two arguments": ["resize", [128, "cat.png"]],
  "a record": record,
  "a hundred records": Array.from({ length: 100 }, (_, id) => ({ ...record, id })),
};

const shapeSizes: readonly number[] = [10_000, 100_000];
/** The size of shapes with a bar. */
const million = 1_000_000;
const withMillion: ReadonlySet<string> = new Set(["whole numbers", "fractions"]);

const options = parseOptions("slices", 15);
const lost: Record<string, unknown> = {};
for (const [name, codec] of Object.entries(codecs)) {
  lost[name] = {
    loses: trials.filter((trial) => !isKept(codec, trial)).map(({ what }) => what).join(", "),
  };
}
console.table(lost);

let overhead = 0;
for (const [load, value] of Object.entries(loads)) {
  const times: Record<string, { encode: number[]; decode: number[] }> = {};
  for (let slice = -2; slice < options.count; slice++) {
    for (const [name, codec] of Object.entries(codecs)) {
      const bytes = codec.encode(value).slice();
      const encode = timeOf(() => codec.encode(value));
      const decode = timeOf(() => codec.decode(bytes));
      // The first slices are for the compilers.
      if (slice < 0) continue;
      times[name] ??= { encode: [], decode: [] };
      times[name].encode.push(encode);
      times[name].decode.push(decode);
    }
  }
  const rows = Object.entries(times).map(([name, { encode, decode }]) => {
    const [best, worst] = [summarize(encode), summarize(decode)];
    return [name, {
      "encode, µs": fixed(best.median),
      "decode, µs": fixed(worst.median),
      "encode, best": fixed(best.min),
      "decode, best": fixed(worst.min),
      bytes: codecs[name]!.encode(value).byteLength,
    }];
  });
  console.log(load);
  console.table(Object.fromEntries(rows));
  if (load !== "a call of two arguments") continue;
  const best = (name: string) => {
    const { encode, decode } = times[name]!;
    return summarize(encode).min + summarize(decode).min;
  };
  overhead = best("this package") / best("msgpackr");
}
console.log("shapes: times of structuredClone, and of JSON where it can carry them");
const byShape: Record<string, unknown> = {};
/** The time for a million numbers, divided by the time of `structuredClone`. */
let numbersRatio = 0;
for (const [name, make] of Object.entries(shapes)) {
  const row: Record<string, string> = {};
  const perPart: number[] = [];
  for (const size of withMillion.has(name) ? [...shapeSizes, million] : shapeSizes) {
    const value = make(size);
    const bytes = ours.encode(value).slice();
    const json = jsonOf(value);
    const of: Record<string, number[]> = { encode: [], decode: [], clone: [], json: [] };
    for (let slice = 0; slice < Math.min(options.count, 5); slice++) {
      of["encode"]!.push(onceOf(() => ours.encode(value)));
      of["decode"]!.push(onceOf(() => ours.decode(bytes)));
      of["clone"]!.push(onceOf(() => cloned(value)));
      if (json) of["json"]!.push(onceOf(() => JSON.parse(JSON.stringify(value))));
    }
    const [encode, decode, clone] = ["encode", "decode", "clone"].map((what) =>
      summarize(of[what]!).min
    ) as [number, number, number];
    const all = encode + decode;
    const ofJson = json ? fixed(all / summarize(of["json"]!).min) : "-";
    row[`${size}: encode, decode, ms`] = `${fixed(encode)}, ${fixed(decode)}`;
    row[`${size}: × clone, × JSON`] = `${fixed(all / clone)}, ${ofJson}`;
    perPart.push(all / size);
    if (size === million) numbersRatio = Math.max(numbersRatio, all / clone);
  }
  row["growth per part"] = fixed(perPart.at(-1)! / perPart[0]!);
  byShape[name] = row;
}
console.table(byShape);
judge([{
  what: `a million numbers take ${fixed(numbersRatio)} × structuredClone's time ≤ 3`,
  met: numbersRatio <= 3,
}, {
  what: `a call takes ${fixed(overhead)} × msgpackr's time ≤ 2`,
  met: overhead <= 2,
}], options);

/** Some shapes cannot be cloned, such as an error with functions. */
function cloned(value: unknown): void {
  try {
    structuredClone(value);
  } catch {
    // Its time is not comparable then.
  }
}

/** Milliseconds. */
function onceOf(body: () => void): number {
  const begin = performance.now();
  body();
  return performance.now() - begin;
}

function isKept(codec: Codec, { value, isKept }: Trial): boolean {
  try {
    return isKept(codec.decode(codec.encode(value).slice()));
  } catch {
    return false;
  }
}

/** Microseconds. */
function timeOf(body: () => void): number {
  const begin = performance.now();
  for (let count = 0;;) {
    for (let rest = 50; rest > 0; rest--) body();
    count += 50;
    const elapsed = performance.now() - begin;
    if (elapsed >= 5) return elapsed / count * 1e3;
  }
}
