/** Pacing: what an event loop decides after the looks that it has made, in simulated time. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { hitsPerTurn, type Next, Pacing, turnMax } from "../../src/channel/pacing.ts";
import { test } from "../support/harness.ts";

/** What the steps of a loop take, in milliseconds: about what they take in Deno. */
const lookTime = 0.001;
const microtaskTime = 0.0005;
const lingerTime = 0.003;
const turnTime = 0.02;
const wakeTime = 0.05;

/** When the next result arrives, given when the last one was found; Infinity: never. */
type Arrivals = (lastFound: number) => number;

interface Options {
  /** Simulated milliseconds. */
  readonly until: number;
  /** Results that arrive at once, and calls in flight. */
  readonly atOnce?: number;
  /** Each linger finds that other processes need the processor. */
  readonly isCrowded?: boolean;
}

interface Trace {
  /** Times, in order. */
  readonly sleeps: readonly number[];
  readonly found: readonly number[];
  readonly looks: number;
  /** Milliseconds in which the loop neither slept nor found anything. */
  readonly idle: number;
  readonly isAsleep: boolean;
  /** Between two turns of the event loop: at most so many results, so many milliseconds. */
  readonly hitsBetweenTurns: number;
  readonly timeBetweenTurns: number;
}

/** Runs the loop of `loop.ts` in simulated time. */
function simulate(arrivals: Arrivals, options: Options, pacing: Pacing = new Pacing()): Trace {
  const { until, atOnce = 1, isCrowded = false } = options;
  const sleeps: number[] = [];
  const found: number[] = [];
  let [time, looks, idle, lastTurn, hitsInTurn] = [0, 0, 0, 0, 0];
  let [hitsBetweenTurns, timeBetweenTurns] = [0, 0];
  let arrival = arrivals(0);
  let isAsleep = false;
  const take = (): number => {
    if (arrival > time) return 0;
    found.push(time);
    arrival = arrivals(time);
    return atOnce;
  };
  const beginTurn = (): void => {
    hitsBetweenTurns = Math.max(hitsBetweenTurns, hitsInTurn);
    timeBetweenTurns = Math.max(timeBetweenTurns, time - lastTurn);
    [lastTurn, hitsInTurn] = [time, 0];
    pacing.beginTurn();
  };
  pacing.wake();
  let next: Next = pacing.first;
  while (time < until) {
    const began = time;
    if (next === "sleep") {
      pacing.sleep();
      sleeps.push(time);
      if (arrival >= until) {
        isAsleep = true;
        break;
      }
      time = Math.max(time, arrival) + wakeTime;
      lastTurn = time;
      pacing.wake();
      beginTurn();
    } else if (next === "turn") {
      time += turnTime;
      beginTurn();
    } else {
      time += microtaskTime;
    }
    time += lookTime;
    looks += 1;
    let hits = take();
    if (hits === 0 && pacing.miss(time)) {
      time += lingerTime;
      if (isCrowded) pacing.yield();
      hits = take();
    }
    hitsInTurn += hits;
    pacing.count(hits);
    if (hits === 0) idle += time - began;
    next = hits > 0 ? pacing.afterHits(hits, atOnce, false) : pacing.afterMiss(time);
  }
  return { sleeps, found, looks, idle, isAsleep, hitsBetweenTurns, timeBetweenTurns };
}

const never: Arrivals = () => Infinity;
/** Calls back to back: the next answer comes so long after the last one was found. */
const after = (delay: number): Arrivals => (lastFound) => lastFound + delay;
/** At fixed times, such as those of a timer. */
const every = (interval: number): Arrivals => (lastFound) =>
  (Math.floor(lastFound / interval) + 1) * interval;

/** Results after a warm-up, in which the budget adapts. */
function afterWarmUp(times: readonly number[]): number {
  return times.filter((time) => time > 50).length;
}

/** An arrival pattern, and what the loop makes of 1,000 ms of it: sleeps for each result. */
const patterns: readonly {
  readonly name: string;
  readonly arrivals: Arrivals;
  readonly options?: Partial<Options>;
  readonly sleepsPerResult: readonly [min: number, max: number];
}[] = [
  { name: "answers after 4 µs", arrivals: after(0.004), sleepsPerResult: [0, 0] },
  { name: "answers after 30 µs", arrivals: after(0.03), sleepsPerResult: [0, 0] },
  { name: "answers after 100 µs", arrivals: after(0.1), sleepsPerResult: [0.99, 1] },
  {
    name: "64 answers at once",
    arrivals: after(0.02),
    options: { atOnce: 64 },
    sleepsPerResult: [0, 0],
  },
  { name: "a result each millisecond", arrivals: every(1), sleepsPerResult: [0.99, 1] },
  { name: "a result each 20 ms", arrivals: every(20), sleepsPerResult: [0.99, 1] },
  {
    name: "answers after 30 µs on a crowded processor",
    arrivals: after(0.03),
    options: { isCrowded: true },
    sleepsPerResult: [0.9, 1],
  },
];

for (const { name, arrivals, options, sleepsPerResult: [min, max] } of patterns) {
  test(`pacing: ${name} let the loop sleep ${min} to ${max} times for each`, () => {
    const { sleeps, found } = simulate(arrivals, { until: 1_000, ...options });
    const results = afterWarmUp(found);
    assert(results > 40, `only ${results} results`);
    const perResult = afterWarmUp(sleeps) / results;
    assert(perResult >= min && perResult <= max, `${perResult} sleeps for each result`);
  });
}

test("pacing: a loop with rare results spends its time asleep, and probes now and then", () => {
  const { idle, looks, found } = simulate(every(1), { until: 10_000 });
  assert(idle < 300, `${idle} of 10000 ms without a result`);
  // Two looks for each result, which find it and then nothing more; and some where a probe lingers.
  assert(looks < found.length * 3, `${looks} looks for ${found.length} results`);
  assert(looks > found.length * 2.1, "no sleep has tried again whether looking pays off");
});

test("pacing: a loop that slept a lot stays awake again once results come quickly", () => {
  const pacing = new Pacing();
  simulate(every(1), { until: 1_000 }, pacing);
  assert(isQuiet(pacing), "rare results have not used up the budget");
  const { sleeps, found } = simulate(after(0.03), { until: 1_000 }, pacing);
  const late = sleeps.filter((time) => time > 100);
  assert(found.length > 1_000, `only ${found.length} results`);
  assertEquals(late.length, 0);
});

/** Whether a loop has learned that results are rare: it sleeps at once. */
function isQuiet(pacing: Pacing): boolean {
  pacing.wake();
  pacing.beginTurn();
  return !pacing.miss(0);
}

/** Delays before results, from none at all to far beyond every budget. */
const delays = fc.array(microseconds(2_000), { maxLength: 200 });

function microseconds(max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: max * 10 }).map((tenths) => tenths / 10_000);
}

/** As many results as there are delays, then none. */
function following(all: readonly number[]): Arrivals {
  let index = 0;
  return (lastFound) => index < all.length ? lastFound + all[index++]! : Infinity;
}

test("pacing: after any history, an idle loop comes to sleep within half a millisecond", () => {
  fc.assert(fc.property(delays, fc.integer({ min: 1, max: 64 }), (history, atOnce) => {
    const { isAsleep, sleeps, found } = simulate(following(history), { until: 1_000, atOnce });
    assert(isAsleep, "the loop is still polling");
    const last = found.at(-1) ?? 0;
    const took = sleeps.at(-1)! - last;
    assert(took < 0.5, `it polled for ${took} ms`);
  }));
});

test("pacing: timers and sockets get their turn after 128 results or 0.2 ms", () => {
  // The time counts from the first look that finds nothing; a wait that begins in time may end late.
  const timeMax = turnMax + hitsPerTurn * (lookTime + microtaskTime) + turnTime + 2 * lingerTime;
  const check = (arrivals: Arrivals, until: number, atOnce: number): void => {
    const { hitsBetweenTurns, timeBetweenTurns } = simulate(arrivals, { until, atOnce });
    assert(hitsBetweenTurns <= hitsPerTurn + atOnce, `${hitsBetweenTurns} results in one turn`);
    assert(timeBetweenTurns <= timeMax, `${timeBetweenTurns} ms without a turn`);
  };
  check(after(0), 100, 1);
  check(after(0.004), 100, 1);
  const histories = fc.array(microseconds(4), { maxLength: 1_000 });
  fc.assert(fc.property(histories, fc.integer({ min: 1, max: 200 }), (history, atOnce) => {
    check(following(history), 1_000, atOnce);
  }));
});

test("pacing: polling that pays off lasts longer, up to 0.2 ms", () => {
  const pacing = new Pacing();
  const sleepsBefore = (delay: number): number =>
    simulate(following([delay]), { until: delay }, pacing).sleeps.length;
  assertEquals(sleepsBefore(0.15), 1);
  simulate(after(0.04), { until: 10 }, pacing);
  assertEquals(sleepsBefore(0.15), 0);
  simulate(after(0.04), { until: 10 }, pacing);
  assertEquals(sleepsBefore(0.3), 1);
});

test("pacing: the next look comes within the turn for one result of few calls", () => {
  const pacing = new Pacing();
  pacing.beginTurn();
  assertEquals(pacing.afterHits(1, 1, false), "microtask");
  assertEquals(pacing.afterHits(1, 4, false), "microtask");
  assertEquals(pacing.afterHits(1, 5, false), "turn");
  assertEquals(pacing.afterHits(2, 2, false), "turn");
  // A handler may answer within some microtasks, and then the next request is taken at once.
  assertEquals(pacing.afterHits(2, 2, true), "microtask");
});

/** A loop that has learned that results are rare. */
function quiet(): Pacing {
  const pacing = new Pacing();
  simulate(every(5), { until: 1_000 }, pacing);
  while (!isQuiet(pacing)) pacing.sleep();
  pacing.wake();
  pacing.beginTurn();
  return pacing;
}

test("pacing: after a silence, a loop lingers once for the rest of a burst", () => {
  const pacing = quiet();
  assertEquals(pacing.miss(0), false, "lingered before anything has come");
  assertEquals(pacing.afterMiss(0), "sleep");
  pacing.wake();
  pacing.count(64);
  assertEquals(pacing.afterHits(64, 200, false), "turn");
  assertEquals(pacing.miss(1), true);
  pacing.count(3);
  assertEquals(pacing.afterHits(3, 136, false), "turn");
  assertEquals(pacing.miss(2), true, "the burst has gone on");
  assertEquals(pacing.afterMiss(2), "sleep");
});

test("pacing: after a silence, a loop stays awake while many results come", () => {
  const { sleeps } = simulate(after(0), { until: 100, atOnce: 64 }, quiet());
  assertEquals(afterWarmUp(sleeps), 0);
});

test("pacing: one sleep in 16 tries again whether looking pays off", () => {
  const pacing = quiet();
  const tries: number[] = [];
  for (let sleep = 0; sleep < 64; sleep++) {
    pacing.sleep();
    if (isQuiet(pacing)) continue;
    tries.push(sleep);
    while (!isQuiet(pacing)) sleep += 1, pacing.sleep();
  }
  assertEquals(tries.slice(1).map((at, index) => at - tries[index]!), [16, 16, 16]);
});

test("pacing: many calls in flight are looked at once a turn, few of them in between", () => {
  const single = simulate(after(0), { until: 10 });
  assert(single.hitsBetweenTurns > 100, `${single.hitsBetweenTurns} results between two turns`);
  assertEquals(simulate(after(0), { until: 10, atOnce: 64 }).hitsBetweenTurns, 64);
});

test("pacing: a new loop waits for a turn, so that calls made together are looked at together", () => {
  const pacing = new Pacing();
  assertEquals(pacing.first, "turn");
  pacing.beginTurn();
  assertEquals(pacing.first, "microtask");
  pacing.count(hitsPerTurn);
  assertEquals(pacing.first, "turn");
  assertEquals(simulate(never, { until: 10 }).isAsleep, true);
});
