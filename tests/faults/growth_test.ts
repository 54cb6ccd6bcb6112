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

function decode(message: Bytes): unknown {
  return decodeWith(message, true, vast);
}

function timeOf(body: () => void): number {
  const begun = performance.now();
  body();
  return performance.now() - begun;
}

/** The shortest times of both, run in turn so that a busy machine slows them both. */
function shortestTimes(first: () => void, second: () => void, rounds: number): [number, number] {
  let [best, secondBest] = [Infinity, Infinity];
  for (let round = 0; round < rounds; round++) {
    best = Math.min(best, timeOf(first));
    secondBest = Math.min(secondBest, timeOf(second));
  }
  return [best, secondBest];
}

/**
 * What `compare` finds wrong, if it finds it every time. A slow algorithm is slow in each comparison, a
 * busy machine is not.
 */
function persistent(compare: () => string | null): string | null {
  let found: string | null = null;
  for (let comparison = 0; comparison < 3; comparison++) {
    found = compare();
    if (found === null) return null;
  }
  return found;
}

const small = 20_000;
const times = 16;
/** Quadratic growth takes 16 times as long. */
const slack = 6;
/** Shorter times say nothing. */
const floor = 8;

test(
  "16 times the size takes about as long as 16 of the size, to write and to read, for every shape",
  () => {
    const found: string[] = [];
    for (const [name, make] of Object.entries(shapes)) {
      const [less, more] = [make(small), make(small * times)];
      const messages = [encode(less), encode(more)] as const;
      const growth = (what: string, ofLess: () => unknown, ofMore: () => unknown) => {
        const failure = persistent(() => {
          // All results are kept, so that the collector has as much to do for the small ones.
          const [before, after] = shortestTimes(
            () => void Array.from({ length: times }, ofLess),
            () => void ofMore(),
            2,
          );
          if (after <= slack * Math.max(before, floor)) return null;
          return `${what} ${name}: ${before} ms for ${times} of ${small}, ${after} ms for one of ${
            small * times
          }`;
        });
        if (failure !== null) found.push(failure);
      };
      growth("writing", () => encode(less), () => encode(more));
      growth("reading", () => decode(messages[0]), () => decode(messages[1]));
    }
    assert(found.length === 0, found.join("\n"));
    tried(Object.keys(shapes).length, "shapes of values, written and read");
  },
  { timeout: 600_000 },
);

test("an array of a million numbers takes about as long as its clone", () => {
  for (const name of ["whole numbers", "fractions"] as const) {
    const numbers = shapes[name]!(1_000_000);
    const message = encode(numbers);
    const failure = persistent(() => {
      const [clone, ours] = shortestTimes(
        () => void structuredClone(numbers),
        () => {
          encode(numbers);
          decode(message);
        },
        5,
      );
      // Reading keys one by one would take hundreds of times as long; a plain copy of memory is hard to match.
      return ours <= 25 * clone ? null : `${name}: ${ours} ms, structuredClone ${clone} ms`;
    });
    assert(failure === null, failure ?? "");
  }
});
