/**
 * A client for a thread that runs no event loop, because a native function of another library blocks it. That function
 * waits for the notify descriptor, among others; then the thread pumps: it takes the answers that are there.
 *
 * @module
 */
import { deadlineAfter } from "../base/checks.ts";
import { nativeBatches } from "../ffi/load.ts";
import {
  BatchCall,
  batchCallsMax,
  Control,
  sendAllNudge,
  sendDeliveriesShift,
  sendForwarded,
  sendWatched,
  Status,
} from "../ffi/layout.ts";
import type { NativeBatches } from "../ffi/symbols.ts";
import { now } from "../runtime/timers.ts";
import { type Channel, closeChannel, openChannel, openChannelFromFd, OpenMode } from "./channel.ts";
import { callFailure, requestTooLarge } from "./failure.ts";
import { HandleCore } from "./handle_core.ts";
import { pauseBeforeNudge } from "./nudge_pauses.ts";
import { callWords, PumpedCalls, type PumpedReader } from "./pumped_calls.ts";
import type { Bytes } from "./waiter.ts";

/** How long calls wait at most until the thread looks for servers that have died, in milliseconds. */
const sweepEvery = 25;

export class PumpedClient extends HandleCore {
  readonly #calls: PumpedCalls;
  readonly #flags: number;
  readonly #batches: NativeBatches = nativeBatches();
  /** The requests that are sent together next, and who reads their answers. */
  readonly #planned: Uint32Array = new Uint32Array(callWords * batchCallsMax);
  readonly #readers: (PumpedReader | undefined)[] = [];
  #plannedCount = 0;
  #nextDeadline = Infinity;
  /** Nudges since the last request that needs one; negative: none is due. */
  #nudges = -1;
  #lastLook = 0;

  constructor(channel: Channel) {
    super(channel, "client");
    this.#calls = new PumpedCalls(channel);
    this.#flags = (this.maxDeliveries << sendDeliveriesShift) | sendForwarded | sendWatched;
  }

  /** @throws {TandemError} `NOT_FOUND` when there is no such channel, and the others of opening one */
  static open(target: string): PumpedClient {
    return new PumpedClient(openChannel("client", target, OpenMode.attach));
  }

  static fromFd(fd: number): PumpedClient {
    return new PumpedClient(openChannelFromFd("client", fd));
  }

  /** How many calls wait for their answers. */
  get outstanding(): number {
    return this.#calls.outstanding;
  }

  /**
   * Sends the first `payloadBytes`, and the note behind them about the peer for which they are sent. `reader` gets the
   * answer in {@linkcode collect}, or if that has ended already, here. False: no slot is free.
   *
   * @param timeout milliseconds; NaN: for ever
   * @throws {TandemError} `TOO_LARGE`; `NO_SPACE`; `NOT_FOUND` when the channel was unlinked
   */
  tryForward(
    bytes: Uint8Array,
    payloadBytes: number,
    noteBytes: number,
    timeout: number,
    reader: PumpedReader,
  ): boolean {
    const { native, address, words } = this.channel;
    // The room for a note is none for a payload.
    if (payloadBytes > this.maxRequestBytes) {
      throw requestTooLarge(payloadBytes, this.maxRequestBytes);
    }
    const length = payloadBytes + noteBytes;
    const status = native.tandem_send(address, bytes, length, this.#flags, timeout, words);
    if (status === 0) return false;
    if (status === -Status.busy) return false;
    if (status < 0) throw callFailure(status, "send a request");
    if (status === 2) this.#nudges = 0;
    const deadline = this.#deadlineAfter(timeout);
    const [low, high] = [words[Control.generationLow]!, words[Control.generationHigh]!];
    this.#calls.add(words[Control.slot]!, low, high, deadline, reader);
    return true;
  }

  #deadlineAfter(timeout: number): number {
    const deadline = deadlineAfter(timeout);
    this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
    return deadline;
  }

  /**
   * Adds a request to those that {@linkcode forwardPlanned} sends; at most 256. As for {@linkcode tryForward}, but the
   * payload is known to be no longer than `maxRequestBytes`.
   */
  plan(offset: number, length: number, reader: PumpedReader): void {
    const index = this.#plannedCount++;
    const at = index * callWords;
    this.#planned[at + BatchCall.offset] = offset;
    this.#planned[at + BatchCall.length] = length;
    this.#readers[index] = reader;
  }

  /**
   * Sends requests that lie in `bytes`, up to the first that cannot be sent: {@linkcode tryForward} says why. Returns how
   * many it has sent.
   */
  forwardPlanned(bytes: Uint8Array, timeout: number): number {
    const { address } = this.channel;
    const calls = this.#planned;
    const count = this.#plannedCount;
    // The array keeps its length: engines would make its memory anew.
    this.#plannedCount = 0;
    const result = this.#batches.tandem_send_all(
      address,
      bytes,
      calls,
      count,
      this.#flags,
      timeout,
    );
    const sent = result & (sendAllNudge - 1);
    if (sent < result) this.#nudges = 0;
    const deadline = this.#deadlineAfter(timeout);
    for (let index = 0, at = 0; index < sent; index++, at += callWords) {
      const low = calls[at + BatchCall.generationLow]!;
      const high = calls[at + BatchCall.generationHigh]!;
      this.#calls.add(calls[at + BatchCall.slot]!, low, high, deadline, this.#readers[index]!);
    }
    return sent;
  }

  /** Where answers lie that are read in place. */
  get answers(): Bytes {
    return this.#calls.answers;
  }

  /** Gives the readers the answers that are there, and ends calls whose time is over. Returns how many it has found. */
  collect(): number {
    if (this.#calls.outstanding === 0) return 0;
    const found = this.#calls.collect();
    if (this.#nextDeadline < Infinity) {
      const time = now();
      if (time >= this.#nextDeadline) this.#nextDeadline = this.#calls.expire(time);
    }
    return found;
  }

  /**
   * How long the thread may wait for the notify descriptor at most, in milliseconds; Infinity: until it is readable.
   * Then {@linkcode lookAround} is due.
   */
  get patience(): number {
    if (this.#calls.outstanding === 0) return Infinity;
    const untilNudge = this.#nudges < 0 ? Infinity : pauseBeforeNudge(this.#nudges);
    return Math.max(0, Math.min(sweepEvery, untilNudge, this.#nextDeadline - now()));
  }

  /**
   * Looks for servers that have died, and for requests that no server takes although one was rung.
   *
   * @param isLate the thread has waited as long as {@linkcode patience} says
   */
  lookAround(isLate: boolean): void {
    if (isLate && this.#nudges >= 0) {
      const { native, address } = this.channel;
      this.#nudges = native.tandem_nudge(address) === 1 ? this.#nudges + 1 : -1;
    }
    if (this.#calls.outstanding === 0) return;
    const time = now();
    if (time - this.#lastLook < sweepEvery) return;
    this.#lastLook = time;
    this.sweep();
  }

  /** Ends its calls and leaves the channel. Twice is fine. */
  close(): void {
    if (!this.channel.isOpen) return;
    closeChannel(this.channel);
    this.#calls.close();
  }
}
