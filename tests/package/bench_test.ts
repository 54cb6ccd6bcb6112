/**
 * The benchmarks' own arithmetic and their baseline, on which every figure depends.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { callFrames, echoFrames, type End, type Write } from "../../bench/contenders/frames.ts";
import { callBlocking, callConcurrently } from "../../bench/lib/calling.ts";
import { Histogram } from "../../bench/lib/histogram.ts";
import { type Bar, isMet } from "../../bench/lib/outcome.ts";
import { alternate, type Entry, seriesOf } from "../../bench/lib/slices.ts";
import { barLine } from "../../bench/report/markdown.ts";
import { test } from "../support/harness.ts";

test("a histogram's buckets are those of the native side", () => {
  // The same values are in native/bench/driver.zig.
  const known = [[0, 0], [63, 63], [64, 64], [127, 127], [128, 128], [130, 129], [1_000, 317]];
  for (const [ns, bucket] of [...known, [1_000_000, 954], [2 ** 32 - 1, 1727], [1e12, 1727]]) {
    const histogram = new Histogram();
    histogram.add(ns!);
    assertEquals(histogram.buckets(), [[bucket!, 1]]);
  }
});

test("a histogram's quantiles are off by 0.8 % at most", () => {
  const times = fc.array(fc.integer({ min: 1, max: 2 ** 32 - 1 }), { minLength: 1 });
  const fractions = fc.double({ min: 0.001, max: 1, noNaN: true });
  fc.assert(fc.property(times, fractions, (values, fraction) => {
    const [whole, half] = [new Histogram(), new Histogram()];
    values.forEach((value, index) => (index % 2 ? whole : half).add(value));
    whole.merge(half.buckets());
    assertEquals(whole.count, values.length);
    const sorted = values.toSorted((a, b) => a - b);
    const exact = sorted[Math.ceil(values.length * fraction) - 1]!;
    const found = whole.quantile(fraction);
    assert(Math.abs(found - exact) <= exact * 0.008, `${found} for ${exact}`);
  }));
  assertEquals(new Histogram().quantile(0.5), NaN);
});

test("frames come back whole and in order, however the stream is cut", async () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 40 });
  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 });
  await fc.assert(fc.asyncProperty(payloads, cuts, async (payloads, cuts) => {
    let writes = 0;
    let turn = 0;
    /** Passes bytes on in pieces, and ends in a later turn, as a socket may. */
    const deliver = (to: () => End): Write => (bytes, done) => {
      writes += 1;
      for (let offset = 0; offset < bytes.byteLength;) {
        const length = cuts[turn++ % cuts.length]!;
        to().push(bytes.slice(offset, offset + length));
        offset += length;
      }
      queueMicrotask(done);
    };
    const server: End = echoFrames(deliver(() => client));
    const client = callFrames(deliver(() => server));
    const answers = await Promise.all(payloads.map((payload) => client.call(payload.slice())));
    assertEquals(answers.map((answer) => [...answer]), payloads.map((payload) => [...payload]));
    assert(writes <= 3, `${writes} writes for what was sent at once`);
  }));
});

test("a frame that is larger than every buffer comes back whole", async () => {
  const server: End = echoFrames((bytes, done) => (client.push(bytes.slice()), done()));
  const client = callFrames((bytes, done) => {
    for (let offset = 0; offset < bytes.byteLength; offset += 60_000) {
      server.push(bytes.slice(offset, offset + 60_000));
    }
    done();
  });
  const payload = new Uint8Array(1 << 20).map((_, index) => index * 31);
  assertEquals(await client.call(payload), payload);
});

test("entries run beside their comparison, and the ratio is between neighbours", async () => {
  const order: string[] = [];
  let machine = 1;
  const entry = (name: string, calls: number, against: readonly Entry[] = []): Entry => ({
    name,
    against,
    run(ms) {
      order.push(name);
      return Promise.resolve({ calls: calls * machine * ms, ms, latency: [] });
    },
  });
  const reference = entry("reference", 100);
  const half = entry("half", 50, [reference]);
  const quarter = entry("quarter", 25, [reference]);
  const alone = entry("alone", 1);
  // The machine's speed differs between groups of neighbours.
  const changing: Entry = { ...alone, run: (ms) => (machine *= 2, alone.run(ms)) };
  const results = await alternate([half, quarter, changing], { rounds: 3, sliceMs: 10 });

  const forth = ["half", "reference", "quarter", "alone"];
  const back = ["quarter", "reference", "half", "alone"];
  assertEquals(order, [...back, ...forth, ...back, ...forth]);
  assertEquals(seriesOf(results, half).ratios(reference).median, 0.5);
  assertEquals(seriesOf(results, quarter).ratios(reference).max, 0.25);
  assertEquals(seriesOf(results, reference).slices.length, 3);
  assertEquals(seriesOf(results, alone).ratios(reference).count, 0);
});

test("calls are counted, and an answer that is no echo is an error", async () => {
  let count = 0;
  const blocking = callBlocking(() => void count++, { bytes: 1, ms: 2, timeEvery: 4 });
  assertEquals(blocking.calls, count);
  assertEquals(new Histogram().merge(blocking.latency).count, count / 4);

  let [inFlight, most] = [0, 0];
  const call = async (payload: Uint8Array): Promise<Uint8Array> => {
    most = Math.max(most, ++inFlight);
    await new Promise((resolve) => setTimeout(resolve));
    inFlight -= 1;
    return payload.slice();
  };
  const load = { bytes: 12, ms: 5, outstanding: 7, timeEvery: 1 };
  const together = await callConcurrently(call, load);
  assertEquals([most, inFlight], [7, 0]);
  assertEquals(new Histogram().merge(together.latency).count, together.calls);

  for (const wrong of [0, 11]) {
    const other = (payload: Uint8Array) =>
      Promise.resolve(payload.map((byte, index) => index === wrong ? byte + 1 : byte));
    const failure = await callConcurrently(other, load).catch((error: Error) => error.message);
    assertEquals(failure, "Not an echo: 12 bytes for 12");
  }
});

test("a bar that was not measured is missed", () => {
  const bar: Bar = { what: "x", measured: 4, must: 4, goal: 8, write: (value) => `${value}` };
  assertEquals([isMet(bar, 4), isMet(bar, 4.1)], [true, false]);
  assertEquals([isMet({ ...bar, isLimit: true }, 4), isMet({ ...bar, isLimit: true }, 3.9)], [
    true,
    false,
  ]);
  assertEquals(barLine(bar), "pass  x: 4 ≥ 4, goal 8");
  assertEquals(barLine({ ...bar, measured: 9 }), "pass  x: 9 ≥ 4, goal 8 met");
  assertEquals(barLine({ ...bar, measured: 3 }), "MISS  x: 3 ≥ 4, goal 8");
  assertEquals(barLine({ ...bar, measured: NaN }), "MISS  x: not measured ≥ 4, goal 8");
});
