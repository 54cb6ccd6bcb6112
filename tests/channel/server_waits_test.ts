/** The waits of a server for the aborts of its requests, with requests that are made up. */
import type { RequestCore } from "../../src/channel/request_core.ts";
import { ServerWaits } from "../../src/channel/server_waits.ts";
import { assertEquals } from "@std/assert";
import { test } from "../support/harness.ts";

/** A request whose client's time is over after `looks` looks at it. */
class Watched {
  readonly isAnswered = false;
  isAborted = false;
  #looks: number;

  constructor(looks: number) {
    this.#looks = looks;
  }

  get cancelled(): boolean {
    return this.timeRemaining <= 0;
  }

  get timeRemaining(): number {
    return this.#looks-- > 0 ? 1 : 0;
  }

  checkAbort(): boolean {
    this.isAborted = this.cancelled;
    return this.isAborted;
  }
}

function waitsFor(request: object): ServerWaits {
  const waits = new ServerWaits({ takeMany: () => [], takeOne: () => null, rest: () => {} });
  waits.watch(request as RequestCore, 100);
  return waits;
}

test("waits of a server: a request aborts also if its time ends between any two looks", () => {
  for (let looks = 0; looks < 6; looks++) {
    const request = new Watched(looks);
    const waits = waitsFor(request);
    let next = 100;
    for (let round = 0; waits.isWaiting && round < 10; round++) {
      assertEquals(next < Infinity, true, `after ${looks} looks: nothing looks again`);
      next = waits.expire(next);
    }
    assertEquals([request.isAborted, waits.isWaiting], [true, false]);
  }
});

test("waits of a server: a posted message, which nothing aborts, makes no timer run again and again", () => {
  const posted = { isAnswered: false, cancelled: false, checkAbort: () => false, timeRemaining: 0 };
  assertEquals(waitsFor(posted).expire(100), Infinity);
});

test("waits of a server: a consumer hears of each look before it", async () => {
  const events: string[] = [];
  const waits = new ServerWaits({
    takeMany: () => [],
    takeOne: () => {
      events.push("look");
      return null;
    },
    rest: () => {},
  });
  const consumed = waits.consume({
    hasRoom: true,
    take: () => {},
    beforeLook: () => void events.push("before"),
  }, undefined);
  waits.poll();
  waits.poll();
  assertEquals(events, ["before", "look", "before", "look"]);
  waits.close();
  await consumed;
});
