/** The event loop's side of a handle after a silence, with a native side that only takes notes. */
import { assert, assertEquals } from "@std/assert";
import type { Channel } from "../../src/channel/channel.ts";
import { Loop, type Waits } from "../../src/channel/loop.ts";
import { armed } from "../../src/ffi/layout.ts";
import { eventually, test } from "../support/harness.ts";

interface Global {
  setImmediate(callback: () => void): void;
}

const { setImmediate } = globalThis as unknown as Global;

/** Calls whose answers come when `answer` says so. */
class Calls implements Waits {
  outstanding = 0;
  #answered = 0;
  readonly wanted: number = 0;
  readonly isSettling = false;
  readonly standsBack = false;

  get isPending(): boolean {
    return this.outstanding > 0;
  }

  get isWaiting(): boolean {
    return this.isPending;
  }

  answer(): void {
    this.#answered = this.outstanding;
  }

  poll(): number {
    const hits = this.#answered;
    this.outstanding -= hits;
    this.#answered = 0;
    return hits;
  }

  hasMissed(): boolean {
    return false;
  }

  expire(): number {
    return Infinity;
  }
}

/** A client's loop. */
class Client {
  readonly calls = new Calls();
  readonly loop: Loop;
  /** The native functions that were called, and `turn` for each turn of the event loop. */
  notes: string[] = [];
  #ring: () => void = () => {};

  constructor() {
    const note = (name: string, result: number) => () => {
      this.notes.push(name);
      return result;
    };
    const native = {
      tandem_linger: note("linger", 1),
      tandem_disarm: note("disarm", 0),
      tandem_arm: note("arm", armed),
      tandem_bell: note("bell", 0),
      tandem_nudge: note("nudge", 0),
    };
    const backend = {
      nextTurn: (callback: () => void) => {
        this.notes.push("turn");
        setImmediate(callback);
      },
      watch: (_fd: number, onReadable: () => void) => {
        this.#ring = onReadable;
        return { ref: () => {}, unref: () => {}, close: () => {} };
      },
    };
    const channel = { isOpen: true, address: 0, native, backend, watches: new Set() };
    this.loop = new Loop(channel as unknown as Channel, this.calls);
  }

  get isAsleep(): boolean {
    return this.notes.at(-1) === "arm";
  }

  call(): void {
    this.calls.outstanding += 1;
    this.loop.start(Infinity);
  }

  /** Answers all calls, and rings the bell. */
  answer(): void {
    this.calls.answer();
    this.#ring();
  }

  /** Makes calls whose answers come late, until polling is over. */
  async fallSilent(): Promise<void> {
    do {
      this.notes = [];
      this.call();
      await eventually(() => this.isAsleep);
      this.answer();
      await eventually(() => !this.calls.isPending);
    } while (this.notes.includes("linger"));
  }

  [Symbol.dispose](): void {
    this.loop.close();
  }
}

test("after a silence, the calls of a burst are made without a turn, and sleep together", async () => {
  using client = new Client();
  await client.fallSilent();
  client.notes = [];
  for (let count = 0; count < 64; count++) client.call();
  await eventually(() => client.isAsleep);
  assertEquals(client.notes, ["arm"]);
  client.answer();
  assertEquals(client.calls.isPending, false);
  assertEquals(client.notes, ["arm", "disarm"]);
});

test("a request that was answered is not nudged, whatever woke its server", async () => {
  using answered = new Client();
  using waiting = new Client();
  using posted = new Client();
  for (const client of [answered, waiting, posted]) {
    await client.fallSilent();
    client.notes = [];
  }
  answered.loop.nudge(true);
  answered.call();
  answered.answer();
  // These are the control: their nudges are due later.
  waiting.loop.nudge(true);
  waiting.call();
  posted.loop.nudge(false);
  posted.call();
  posted.answer();
  await eventually(() => [waiting, posted].every(({ notes }) => notes.includes("nudge")));
  assert(!answered.notes.includes("nudge"), answered.notes.join(" "));
});
