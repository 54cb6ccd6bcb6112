/**
 * The messages between the conductor and a client: the load of a slice, and its result. The clients are
 * programs/client.ts and native/bench/driver.zig.
 *
 * @module
 */
import type { Buckets } from "./histogram.ts";

/** The load of one slice. */
export interface Load {
  /** The length of the slice. */
  readonly ms: number;
  readonly bytes: number;
  /** One call in this many is timed, because reading the clock takes a part of a quick call. */
  readonly timeEvery: number;
  /** The form of a blocking client that has several. */
  readonly form?: string;
  /** Calls that wait for their answers at the same time; only promise forms. */
  readonly outstanding?: number;
  /** Milliseconds between one answer and the next call. */
  readonly pauseMs?: number;
  /** How many calls are made together after each pause; default: 1. Each such burst is timed as one. */
  readonly burst?: number;
  /** A timer of 1 ms runs beside the calls. */
  readonly withTimer?: boolean;
}

/** Tells a server to start a timer of 1 ms, or to report how late it was. */
export type TimerMessage = "start timer" | "stop timer";

/** The result of one slice. */
export interface Measured {
  readonly calls: number;
  /** The actual length, which may be a little longer than requested. */
  readonly ms: number;
  /** Of the timed calls, in nanoseconds; of bursts, until the last answer. */
  readonly latency: Buckets;
  /** Of bursts, until the first answer, in nanoseconds. */
  readonly firstLatency?: Buckets;
  /** How much more than 1 ms the turns of the timer were apart, in nanoseconds. */
  readonly lateness?: Buckets;
  /** The same for a timer in the event loop of the server, if it has one. */
  readonly serverLateness?: Buckets;
  /** The processor time of the processes of both sides, if the conductor watched them. */
  readonly cpuMs?: number;
}
