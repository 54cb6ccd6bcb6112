/** The event loop's side of a handle, with a native side that always has work. */
import { assert, assertEquals } from "@std/assert";
import type { Channel } from "../../src/channel/channel.ts";
import { Loop, type Waits } from "../../src/channel/loop.ts";
import { test } from "../support/harness.ts";

interface Global {
  setImmediate(callback: () => void): void;
}

const { setImmediate } = globalThis as unknown as Global;

/** A number of promises, each of which the next look settles. */
class Echo implements Waits {
  outstanding = 0;
  readonly wanted: number = 0;
  readonly isSettling = false;
  readonly standsBack = false;
  readonly #settled: () => void;

  constructor(settled: () => void) {
    this.#settled = settled;
  }

  get isPending(): boolean {
    return this.outstanding > 0;
  }

  get isWaiting(): boolean {
    return this.isPending;
  }

  poll(): number {
    const hits = this.outstanding;
    this.outstanding = 0;
    for (let hit = 0; hit < hits; hit++) queueMicrotask(this.#settled);
    return hits;
  }

  hasMissed(): boolean {
    return false;
  }

  expire(): number {
    return Infinity;
  }
}

for (const count of [1, 2, 64]) {
  test(`the event loop turns while ${count} calls at a time are answered at once`, async () => {
    const channel = {
      isOpen: true,
      address: 0,
      native: { tandem_linger: () => 1, tandem_disarm: () => {} },
      backend: { nextTurn: (callback: () => void) => setImmediate(callback) },
    } as unknown as Channel;
    let settled = 0;
    let hasTurned = false;
    const waits = new Echo(() => {
      settled += 1;
      // Calls again until the turn comes. With a starving loop this would go on for ever.
      if (hasTurned || settled > 1_000_000) return;
      waits.outstanding += 1;
      loop.start(Infinity);
    });
    const loop = new Loop(channel, waits);
    const turned = new Promise<void>((resolve) => {
      setImmediate(() => {
        hasTurned = true;
        resolve();
      });
    });
    waits.outstanding = count;
    loop.start(Infinity);
    await turned;
    assert(settled <= 1_000, `${settled} calls were answered before the loop had a turn`);
    // Lets the calls under way end.
    while (waits.outstanding > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    assertEquals(waits.isPending, false);
  });
}
