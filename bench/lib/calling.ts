/**
 * Makes the calls of one slice inside a client.
 *
 * @module
 */
import { Histogram } from "./histogram.ts";
import { LateTimer } from "./late_timer.ts";
import type { Load, Measured } from "./load.ts";

/** Makes one blocking call. Throws if the answer is not an echo. */
export type BlockingCall = () => void;

/** Makes one call that leaves the event loop free. */
export type PromiseCall = (payload: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;

/** Makes one blocking call after another. */
export function callBlocking(call: BlockingCall, { ms, timeEvery }: Load): Measured {
  const histogram = new Histogram();
  const begin = performance.now();
  let calls = 0;
  let elapsed = 0;
  for (let before = begin; elapsed < ms;) {
    call();
    const after = performance.now();
    histogram.add((after - before) * 1e6);
    for (let rest = timeEvery - 1; rest > 0; rest--) call();
    calls += timeEvery;
    before = timeEvery === 1 ? after : performance.now();
    elapsed = before - begin;
  }
  return { calls, ms: elapsed, latency: histogram.buckets() };
}

/**
 * Keeps a number of calls outstanding until the time is over: each answer starts the next call. The calls
 * in progress at the end count, and the time ends with the last of them.
 */
export async function callConcurrently(call: PromiseCall, load: Load): Promise<Measured> {
  const { bytes, ms, outstanding = 1, timeEvery } = load;
  const histogram = new Histogram();
  const timer = load.withTimer ? new LateTimer() : null;
  const begin = performance.now();
  let calls = 0;
  let isOver = false;
  // With slow calls, no timed call may end in time.
  const ending = setTimeout(() => isOver = true, ms);
  const callInTurn = async (index: number): Promise<void> => {
    const payload = new Uint8Array(bytes).fill(index);
    let before = begin;
    for (let turn = index; !isOver; turn++) {
      const isTimed = turn % timeEvery === 0;
      if (isTimed && timeEvery > 1) before = performance.now();
      checkEcho(await call(payload), payload);
      calls += 1;
      if (!isTimed) continue;
      const after = performance.now();
      histogram.add((after - before) * 1e6);
      before = after;
      isOver ||= after - begin >= ms;
    }
  };
  try {
    await Promise.all(Array.from({ length: outstanding }, (_, index) => callInTurn(index)));
  } finally {
    clearTimeout(ending);
    timer?.stop();
  }
  const elapsed = performance.now() - begin;
  const lateness = timer && { lateness: timer.buckets() };
  return { calls, ms: elapsed, latency: histogram.buckets(), ...lateness };
}

/** Makes one call, or a burst of several, after each pause. */
export async function callPaced(call: PromiseCall, load: Load): Promise<Measured> {
  const { bytes, ms, pauseMs, burst = 1 } = load;
  const last = new Histogram();
  const first = new Histogram();
  const payloads = Array.from(
    { length: burst },
    (_, index) => new Uint8Array(bytes).fill(index + 1),
  );
  const begin = performance.now();
  let calls = 0;
  let elapsed = 0;
  let before = begin;
  let isFirst = true;
  const callOnce = async (payload: Uint8Array<ArrayBuffer>): Promise<void> => {
    checkEcho(await call(payload), payload);
    if (!isFirst) return;
    isFirst = false;
    first.add((performance.now() - before) * 1e6);
  };
  while (elapsed < ms) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    isFirst = true;
    before = performance.now();
    await Promise.all(payloads.map(callOnce));
    const after = performance.now();
    last.add((after - before) * 1e6);
    calls += burst;
    elapsed = after - begin;
  }
  return { calls, ms: elapsed, latency: last.buckets(), firstLatency: first.buckets() };
}

/** Checks the length, and the bytes that show an answer to another call. */
export function checkEcho(answer: Uint8Array, payload: Uint8Array): void {
  const last = payload.byteLength - 1;
  if (
    answer.byteLength === payload.byteLength && answer[0] === payload[0] &&
    answer[last] === payload[last]
  ) return;
  throw new Error(`Not an echo: ${answer.byteLength} bytes for ${payload.byteLength}`);
}
