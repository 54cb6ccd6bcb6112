/**
 * Waiting for several sockets and descriptors at once.
 *
 * @module
 */
import { forever, type LibZmq, libzmq, pollIn, pollItemBytes } from "./libzmq.ts";

/** What to wait for: a socket of libzmq, or a descriptor of the system. */
export type PollItem = { readonly socket: bigint } | { readonly fd: number };

const eventsInItem = pollItemBytes / Int16Array.BYTES_PER_ELEMENT;
const eventsReceived = 7;

export class Poller {
  readonly #zmq: LibZmq = libzmq();
  readonly #items: Uint8Array<ArrayBuffer>;
  readonly #events: Int16Array;
  readonly #count: number;

  constructor(items: readonly PollItem[]) {
    this.#items = new Uint8Array(items.length * pollItemBytes);
    this.#events = new Int16Array(this.#items.buffer);
    this.#count = items.length;
    const view = new DataView(this.#items.buffer);
    items.forEach((item, index) => {
      const at = index * pollItemBytes;
      if ("socket" in item) view.setBigUint64(at, item.socket, true);
      else view.setInt32(at + 8, item.fd, true);
      view.setInt16(at + 12, pollIn, true);
    });
  }

  /**
   * Waits until one of them can be read.
   *
   * @param milliseconds Infinity: for ever
   * @returns whether one can be read, or the time was over before, or the context has ended
   */
  wait(milliseconds: number): "ready" | "late" | "ended" {
    const time = milliseconds === Infinity ? forever : BigInt(Math.ceil(milliseconds));
    const count = this.#zmq.zmq_poll(this.#items, this.#count, time);
    if (count > 0) return "ready";
    return count === 0 || !this.#hasEnded() ? "late" : "ended";
  }

  /** Whether the item of this index could be read when the last wait ended. */
  isReady(index: number): boolean {
    return this.#events[index * eventsInItem + eventsReceived] !== 0;
  }

  #hasEnded(): boolean {
    // A signal ends a wait as well; then another look, which does not wait, succeeds.
    for (let attempt = 0; attempt < 3; attempt++) {
      if (this.#zmq.zmq_poll(this.#items, this.#count, 0n) >= 0) return false;
    }
    return true;
  }
}
