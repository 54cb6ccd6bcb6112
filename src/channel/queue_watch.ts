/**
 * Notices requests that no server takes, and leaves them in the queue: for a process that starts servers when they
 * are needed. It sleeps until its bell rings, as a server does.
 *
 * @module
 */
import { armRequests, armWork } from "../ffi/layout.ts";
import { type Channel, closeChannel, openChannelFromFd } from "./channel.ts";
import { Loop, type Waits } from "./loop.ts";

/**
 * It has a handle of its own, in the role of a client: a server would count as one that takes requests. It does not
 * keep the process alive.
 */
export class QueueWatch {
  readonly #channel: Channel;
  readonly #wait: QueueWait;
  readonly #loop: Loop;

  /**
   * @param fd a descriptor of the channel
   * @throws {TandemError} the codes of opening a channel
   */
  constructor(fd: number) {
    const channel = openChannelFromFd("client", fd);
    channel.native.tandem_watch_servers_only(channel.address);
    this.#channel = channel;
    this.#wait = new QueueWait(channel);
    this.#loop = new Loop(channel, this.#wait);
  }

  /**
   * Runs `notice` once: when a request waits, or has waited and was given up. Only for the time when no server takes
   * requests: a request rings one sleeper, which is this one then.
   */
  start(notice: () => void): void {
    if (this.#wait.isWaiting) return;
    this.#wait.notice = notice;
    this.#loop.start(Infinity);
  }

  stop(): void {
    this.#wait.notice = null;
    this.#loop.settle();
  }

  /** Twice is fine. */
  close(): void {
    if (!this.#channel.isOpen) return;
    this.#wait.notice = null;
    this.#loop.close();
    closeChannel(this.#channel);
  }
}

/** The only wait of its loop. */
class QueueWait implements Waits {
  readonly #channel: Channel;
  notice: (() => void) | null = null;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get isWaiting(): boolean {
    return this.notice !== null;
  }

  readonly isPending = false;
  readonly outstanding = 0;
  readonly wanted: number = armRequests;
  readonly isSettling = false;
  readonly standsBack = false;

  poll(): number {
    const { notice } = this;
    if (!notice) return 0;
    const { native, address } = this.#channel;
    // The look that comes before a sleep. Any other may see nothing where that one sees work, and so would go on for ever.
    const found = native.tandem_arm(address, this.wanted);
    native.tandem_disarm(address);
    if (found !== armWork) return 0;
    this.notice = null;
    notice();
    return 1;
  }

  hasMissed(): boolean {
    return false;
  }

  expire(): number {
    return Infinity;
  }
}
