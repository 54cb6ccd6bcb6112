/** A server that expects a request looks for it, although it sleeps. */
import { assert } from "@std/assert";
import { ServerCore } from "../../src/channel/server_core.ts";
import { test } from "../support/harness.ts";

interface Global {
  setImmediate(callback: () => void): void;
}

const { setImmediate } = globalThis as unknown as Global;

/** While a loop polls, it looks in nearly every turn. */
const silentTurns = 100;

test("a server that sleeps looks again when it expects a request, and sleeps again", async () => {
  const server = ServerCore.anonymous({});
  let looks = 0;
  const consumed = server.consume({
    hasRoom: true,
    take: () => {},
    beforeLook: () => void (looks += 1),
  });
  const asleep = async (): Promise<void> => {
    for (let seen = -1; seen !== looks;) {
      seen = looks;
      for (let turn = 0; turn < silentTurns; turn++) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
  };
  await asleep();
  const before = looks;
  server.expectSoon();
  await asleep();
  assert(looks > before, "it has not looked");
  server.close();
  await consumed;
  // Does nothing.
  server.expectSoon();
});
