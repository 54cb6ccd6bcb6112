/** Faults found by random operations, and by thinking about their gaps. */
import { assertEquals, assertThrows } from "@std/assert";
import type { Draft } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  present,
  test,
  text,
} from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";

test("a look at a call that has ended does not change its slot's next call", async () => {
  using pair = openAnonymousPair({ slots: 1 });
  const { server, client } = pair;
  for (const look of ["get", "ready"] as const) {
    const old = client.sendSync("old");
    old.cancel();
    const answer = client.request("next");
    await assertRejectsCode(old[look](), "CANCELLED");
    present(server.tryReceive()).reply("its own");
    assertEquals(text(await answer), "its own");
  }
});

test("a blocking send that finds no slot leaves the promises of its handle awake", async () => {
  using pair = openAnonymousPair({ slots: 1 });
  const { server, client } = pair;
  const answer = client.request("x");
  const request = present(server.tryReceive());
  // The event loop sleeps until its bell rings.
  await eventually(() => client.stats().waitingClients === 1);
  assertThrowsCode(() => client.sendSync("y", { timeout: 0 }), "BUSY");
  request.reply("answered");
  assertEquals(text(await answer), "answered");
});

test("a draft whose send was refused for its options holds no slot", async () => {
  using pair = openAnonymousPair({ slots: 1 });
  const { client } = pair;
  const attempts: ((draft: Draft) => unknown)[] = [
    (draft) => assertThrows(() => draft.send({ timeout: -1 }), RangeError),
    (draft) => assertThrows(() => draft.send({ maxDeliveries: 99 }), RangeError),
    (draft) => assertThrows(() => draft.requestSync({ timeout: NaN }), RangeError),
    (draft) =>
      draft.request({ signal: AbortSignal.abort(new Error("no")) })
        .then(() => assertEquals("resolved", "rejected"), ({ message }) => {
          assertEquals(message, "no");
        }),
  ];
  for (const attempt of attempts) {
    const draft = client.allocate(1);
    await attempt(draft);
    draft.discard();
    present(client.trySend("there is a slot")).release();
  }
});

test("a time-out of 0 finds a queued request each time", async () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  for (let count = 0; count < 200; count++) client.post("x");
  for (let count = 0; count < 100; count++) {
    present(await server.receive({ timeout: 0 })).reply();
    assertEquals((await server.receiveMany(1, { timeout: 0 })).length, 1);
  }
});

test("getters of options that send messages do not change the message", () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  const options = {
    get timeout() {
      present(client.trySend("inner"));
      return 5000;
    },
  };
  present(client.trySend("outer", options));
  client.sendSync("outer", options);
  assertEquals(server.tryReceiveMany().map((request) => request.text()), [
    "inner",
    "outer",
    "inner",
    "outer",
  ]);
});

test("a promise whose call another handle ended rejects, though its slot is used again at once", async () => {
  using pair = openAnonymousPair({ slots: 1 });
  const { server, client } = pair;
  const again: (() => unknown)[] = [
    () => present(client.trySend("again")).cancel(),
    () => client.sendSync("again").cancel(),
    () => client.post("again"),
    () => client.allocate(1).send().cancel(),
    () => assertThrowsCode(() => client.requestSync("again", { timeout: 1 }), "TIMEOUT"),
  ];
  for (const useSlot of again) {
    const answer = doomed(client.request("x"));
    // Before its event loop has had a turn to look.
    assertEquals(server.clear(), 1);
    useSlot();
    await assertRejectsCode(answer, "CANCELLED");
    server.clear();
  }
});
