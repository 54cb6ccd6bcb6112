/**
 * The door through which clients of ZeroMQ reach a pool.
 *
 * @module
 */
import { codeOf } from "../../base/guard.ts";
import { laterForSure, now } from "../../runtime/timers.ts";
import type { ZmqDoor } from "../../zmq/door.ts";
import type { ZmqFrontend } from "../../zmq/options.ts";

/** After a supervisor has handed over, its socket may take so long to be free, in milliseconds. */
const handOverGrace = 5_000;
const retryEvery = 20;

export class PoolDoor {
  /** Null until {@linkcode opened} has resolved. */
  door: ZmqDoor | null = null;
  /** Resolves when clients can connect. Rejects with the reason why they cannot. */
  readonly opened: Promise<void>;
  #isClosed = false;

  /**
   * @param target the pool's channel: its path, or a descriptor
   * @param timeout of calls, in milliseconds, unless the frontend has one
   * @param follows another supervisor has had the target until now
   */
  constructor(frontend: ZmqFrontend, target: string | number, timeout: number, follows: boolean) {
    const options = { timeout, ...frontend, target };
    this.opened = this.#open(options, follows ? now() + handOverGrace : 0);
    // Who awaits the pool hears of it.
    this.opened.catch(() => {});
  }

  async #open(
    options: ZmqFrontend & { target: string | number },
    retriesUntil: number,
  ): Promise<void> {
    // Pools without a door need none of its code.
    const { ZmqDoor } = await import("../../zmq/door.ts");
    while (!this.#isClosed) {
      this.door = new ZmqDoor(options as ConstructorParameters<typeof ZmqDoor>[0]);
      try {
        return await this.door.ready;
      } catch (error) {
        if (codeOf(error) !== "EXISTS" || now() >= retriesUntil) throw error;
        await new Promise<void>((resolve) => void laterForSure(retryEvery, resolve));
      }
    }
  }

  /** Lets calls in flight end. Twice is fine. */
  async close(timeout: number): Promise<void> {
    this.#isClosed = true;
    await this.door?.close({ timeout });
  }
}
