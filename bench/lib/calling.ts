/**
 * Calls for the length of one slice: what happens inside a client.
 *
 * @module
 */
import { Histogram } from "./histogram.ts";
import { LateTimer } from "./late_timer.ts";
import type { Load, Measured } from "./load.ts";

/** One blocking call with all that belongs to it; throws if the answer is not an echo. */
export type BlockingCall = () => void;

/** One call that leaves the event loop free. */
export type PromiseCall = (payload: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>;

/** Calls again and again, one call at a time, the thread blocked. */
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
 * Keeps a number of calls outstanding; each is followed by the next as soon as it is answered, until
 * the time is over. Those that are under way then are waited for and count: so neither the first
 * answers, which come late, nor the last are lost to anybody.
 */
export async function callConcurrently(call: PromiseCall, load: Load): Promise<Measured> {
  const { bytes, ms, outstanding = 1, timeEvery } = load;
  const histogram = new Histogram();
  const timer = load.withTimer ? new LateTimer() : null;
  const begin = performance.now();
  let calls = 0;
  let isOver = false;
  // Where calls are slow, none may be timed for long.
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

/** One call at a time with a pause after each. */
export async function callPaced(call: PromiseCall, load: Load): Promise<Measured> {
  const { bytes, ms, pauseMs } = load;
  const histogram = new Histogram();
  const payload = new Uint8Array(bytes).fill(1);
  const begin = performance.now();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < ms) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const before = performance.now();
    checkEcho(await call(payload), payload);
    const after = performance.now();
    histogram.add((after - before) * 1e6);
    calls += 1;
    elapsed = after - begin;
  }
  return { calls, ms: elapsed, latency: histogram.buckets() };
}

/** An answer that is somebody else's differs in its bytes, one of another length anyway. */
export function checkEcho(answer: Uint8Array, payload: Uint8Array): void {
  const last = payload.byteLength - 1;
  if (
    answer.byteLength === payload.byteLength && answer[0] === payload[0] &&
    answer[last] === payload[last]
  ) return;
  throw new Error(`Not an echo: ${answer.byteLength} bytes for ${payload.byteLength}`);
}
