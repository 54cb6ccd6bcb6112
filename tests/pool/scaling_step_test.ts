/** Whether a pool starts or stops workers, from what its supervisor sees. */
import { assertEquals } from "@std/assert";
import { type PoolView, scalingStep } from "../../src/pool/supervisor/scaling.ts";
import { test } from "../support/harness.ts";

const quiet: PoolView = {
  min: 1,
  max: 4,
  minSpare: 0,
  maxSpare: Infinity,
  concurrency: 1,
  idleTimeout: 100,
  minTtl: 1_000,
  queued: 0,
  wasQueued: false,
  starting: 0,
  busy: 0,
  idle: [500, 500, 500],
  sinceStart: 2_000,
};

test("scaling: idle workers beyond min stop, the longest idle ones first", () => {
  assertEquals(scalingStep({ ...quiet, idle: [300, 500, 50] }), { start: 0, stop: [1, 0] });
  assertEquals(scalingStep({ ...quiet, sinceStart: 900 }), { start: 0, stop: [] });
});

test("scaling: no idle worker stops while calls wait, which it is about to take", () => {
  for (const wasQueued of [false, true]) {
    assertEquals(scalingStep({ ...quiet, queued: 1, wasQueued }), { start: 0, stop: [] });
  }
});

test("scaling: a pool that was made smaller stops workers at once, also while calls wait", () => {
  assertEquals(scalingStep({ ...quiet, max: 1, queued: 5, wasQueued: true }), {
    start: 0,
    stop: [0, 1],
  });
});

test("scaling: calls that wait twice in a row start workers, up to max", () => {
  const full = { ...quiet, idle: [], busy: 1, queued: 2 };
  assertEquals(scalingStep(full), { start: 0, stop: [] });
  assertEquals(scalingStep({ ...full, wasQueued: true }), { start: 2, stop: [] });
  assertEquals(scalingStep({ ...full, wasQueued: true, queued: 9 }), { start: 3, stop: [] });
});
