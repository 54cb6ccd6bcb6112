/**
 * What a client is told to do for one slice, and what it says afterwards. The clients are
 * programs/client.ts and native/bench/driver.zig.
 *
 * @module
 */
import type { Buckets } from "./histogram.ts";

/** One slice. */
export interface Load {
  /** How long. */
  readonly ms: number;
  readonly bytes: number;
  /** One call in so many is timed: looking at the clock costs a part of a quick call. */
  readonly timeEvery: number;
  /** What a blocking client does, where it knows more than one thing. */
  readonly form?: string;
  /** Calls that wait for their answers at the same time, promise forms only. */
  readonly outstanding?: number;
  /** Milliseconds between one answer and the next call. */
  readonly pauseMs?: number;
  /** A timer of 1 ms runs beside the calls. */
  readonly withTimer?: boolean;
}

/** What a server is told: to run a timer of 1 ms from now on, or to say how late it was. */
export type TimerMessage = "start timer" | "stop timer";

/** What one slice brought. */
export interface Measured {
  readonly calls: number;
  /** How long it took, which may be a little more than was asked for. */
  readonly ms: number;
  /** Of the calls that were timed, in nanoseconds. */
  readonly latency: Buckets;
  /** By how much more than 1 ms the timer's turns were apart, in nanoseconds. */
  readonly lateness?: Buckets;
  /** The same of a timer in the server's event loop; where there was one. */
  readonly serverLateness?: Buckets;
  /** What the processes of both sides have used of the processors; where it was watched. */
  readonly cpuMs?: number;
}
