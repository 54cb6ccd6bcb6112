/** Values of any shape take time in proportion to their size, to write and to read. */
import { assert } from "@std/assert";
import { shapes } from "../../bench/lib/shapes.ts";
import { decode as decodeWith, encode as encodeWith, hooks } from "../support/codec_helper.ts";
import { test } from "../support/harness.ts";
import { tried } from "./size.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const vast = { ...hooks, maxTreeBytes: 2 ** 30 };

function encode(value: unknown): Bytes {
  return encodeWith(value, vast);
}

function decode(message: Bytes): void {
  decodeWith(message, true, vast);
}

/** The quickest of several, because other processes use the processor. */
function best(body: () => void, runs: number): number {
  let quickest = Infinity;
  for (let run = 0; run < runs; run++) {
    const begun = performance.now();
    body();
    quickest = Math.min(quickest, performance.now() - begun);
  }
  return quickest;
}

const small = 20_000;
const times = 16;
/**
 * Several times the proportion: large amounts of memory are collected more often, which takes V8 six
 * times as long. Quadratic growth takes 16 times as long.
 */
const slack = 10;
/** Short times measure nothing. */
const floor = 0.5;

test("twice the size takes twice the time, for every shape", () => {
  const found: string[] = [];
  for (const [name, make] of Object.entries(shapes)) {
    const [less, more] = [make(small), make(small * times)];
    const messages = [encode(less), encode(more)] as const;
    const growth = (what: string, body: (which: 0 | 1) => void) => {
      const [before, after] = [best(() => body(0), 5), best(() => body(1), 3)];
      const ratio = after / Math.max(before, floor);
      if (ratio <= times * slack) return;
      found.push(`${what} ${name}: ${before} ms for ${small}, ${after} ms for ${small * times}`);
    };
    growth("writing", (which) => void encode(which ? more : less));
    growth("reading", (which) => decode(messages[which]));
  }
  assert(found.length === 0, found.join("\n"));
  tried(Object.keys(shapes).length, "shapes of values, written and read");
}, { timeout: 600_000 });

test("an array of a million numbers takes about as long as its clone", () => {
  for (const name of ["whole numbers", "fractions"] as const) {
    const numbers = shapes[name]!(1_000_000);
    const message = encode(numbers);
    const clone = best(() => void structuredClone(numbers), 5);
    const ours = best(() => void encode(numbers), 5) + best(() => decode(message), 5);
    // Reading keys one by one would take hundreds of times as long; a plain copy of memory is hard to match.
    assert(ours <= 25 * clone, `${name}: ${ours} ms, structuredClone ${clone} ms`);
  }
});
