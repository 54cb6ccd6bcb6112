/**
 * A client for a thread that runs no event loop, because a native function of another library blocks it. That function
 * waits for the notify descriptor, among others; then the thread pumps: it takes the answers that are there.
 *
 * @module
 */
import { deadlineAfter } from "../base/checks.ts";
import { Control, sendDeliveriesShift, sendForwarded, sendWatched, Status } from "../ffi/layout.ts";
import { now } from "../runtime/timers.ts";
import { CallWaits } from "./call_waits.ts";
import { type Channel, closeChannel, openChannel, openChannelFromFd, OpenMode } from "./channel.ts";
import { callFailure, requestTooLarge } from "./failure.ts";
import { HandleCore } from "./handle_core.ts";
import { pauseBeforeNudge } from "./nudge_pauses.ts";
import { type AnswerReader, endsCall, ownsCall } from "./waiter.ts";

/** How long calls wait at most until the thread looks for servers that have died, in milliseconds. */
const sweepEvery = 25;

export class PumpedClient extends HandleCore {
  readonly #waits: CallWaits;
  #nextDeadline = Infinity;
  /** Nudges since the last request that needs one; negative: none is due. */
  #nudges = -1;
  #lastLook = 0;

  constructor(channel: Channel) {
    super(channel, "client");
    this.#waits = new CallWaits(channel);
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
    return this.#waits.outstanding;
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
    reader: AnswerReader,
  ): boolean {
    const { native, address, words } = this.channel;
    // The room for a note is none for a payload.
    if (payloadBytes > this.maxRequestBytes) {
      throw requestTooLarge(payloadBytes, this.maxRequestBytes);
    }
    const length = payloadBytes + noteBytes;
    const flags = (this.maxDeliveries << sendDeliveriesShift) | sendForwarded | sendWatched;
    const status = native.tandem_send(address, bytes, length, flags, timeout, words);
    if (status === 0) return false;
    if (status === -Status.busy) return false;
    if (status < 0) throw callFailure(status, "send a request");
    if (status === 2) this.#nudges = 0;
    const slot = words[Control.slot]!;
    const call = { slot, low: words[Control.generationLow]!, high: words[Control.generationHigh]! };
    if (this.#waits.isWaiting) this.#waits.displace(call);
    const deadline = deadlineAfter(timeout);
    this.#nextDeadline = Math.min(this.#nextDeadline, deadline);
    this.#waits.addReader(call, ownsCall | endsCall, deadline, undefined, reader);
    return true;
  }

  /** Gives the readers the answers that are there, and ends calls whose time is over. Returns how many it has found. */
  collect(): number {
    if (this.#waits.outstanding === 0) return 0;
    const found = this.#waits.poll();
    if (this.#nextDeadline < Infinity) {
      const time = now();
      if (time >= this.#nextDeadline) this.#nextDeadline = this.#waits.expire(time);
    }
    return found;
  }

  /**
   * How long the thread may wait for the notify descriptor at most, in milliseconds; Infinity: until it is readable.
   * Then {@linkcode lookAround} is due.
   */
  get patience(): number {
    if (this.#waits.outstanding === 0) return Infinity;
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
    if (this.#waits.outstanding === 0) return;
    const time = now();
    if (time - this.#lastLook < sweepEvery) return;
    this.#lastLook = time;
    this.sweep();
  }

  /** Ends its calls and leaves the channel. Twice is fine. */
  close(): void {
    if (!this.channel.isOpen) return;
    closeChannel(this.channel);
    this.#waits.close();
  }
}
