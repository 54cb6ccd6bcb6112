/** Cancelling calls: by their client, by id, and all of them with `clear`. */
import { assertEquals, assertNotEquals } from "@std/assert";
import { Client } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  present,
  test,
  text,
} from "../support/harness.ts";
import { send, take } from "../support/calls.ts";
import { openPair } from "../support/open_pair.ts";

test("cancel before a server takes the request: it is never handed out", () => {
  using pair = openPair();
  const { server, client } = pair;
  const [first, second, third] = [send(client, "1"), send(client, "2"), send(client, "3")];
  assertEquals(second.cancel(), true);
  assertEquals(second.cancel(), false);
  assertEquals(take(server).text(), "1");
  assertEquals(take(server).text(), "3");
  assertEquals(server.tryReceive(), null);
  assertThrowsCode(() => second.tryGet(), "CANCELLED");
  assertEquals(client.pending, 2);
  for (const call of [first, third]) call.release();
});

test("cancel while a server holds the request: the slot stays the server's until it replies", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const call = send(client, "x".repeat(5000));
  const answer = call.get();
  const request = take(server);
  assertEquals(request.cancelled, false);
  assertEquals(call.cancel(), true);
  await assertRejectsCode(answer, "CANCELLED");
  assertEquals(request.cancelled, true);
  // The server keeps the slot until it replies, so the bytes stay as they are.
  assertEquals(client.trySend("y".repeat(5000)), null);
  assertEquals(request.text(), "x".repeat(5000));
  assertEquals(request.reply("too late"), false);
  using next = send(client, "z");
  assertNotEquals(next.id, call.id);
});

test("cancel after the answer: too late, and the answer can be had", () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = send(client, "x");
  take(server).reply("y");
  assertEquals(call.cancel(), false);
  assertEquals(text(call.getSync()), "y");
});

test("any process may cancel a call by its id", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using stranger = Client.open(present(server.path));
  const answer = client.request("x");
  const request = present(await server.receive());
  assertEquals(stranger.cancel(request.id), true);
  assertEquals(stranger.cancel(request.id), false);
  await assertRejectsCode(answer, "CANCELLED");
  assertEquals(request.reply(), false);
  for (const id of [0n, -1n, 1n << 61n, 1n << 70n]) assertEquals(stranger.cancel(id), false);
});

test("clear fails every call in flight with CANCELLED and says how many", async () => {
  using pair = openPair({ slots: 4 });
  const { server, client } = pair;
  const answers = ["a", "b", "c"].map((payload) => doomed(client.request(payload)));
  const held = present(await server.receive());
  assertEquals(server.clear(), 3);
  for (const answer of answers) await assertRejectsCode(answer, "CANCELLED");
  assertEquals(held.cancelled, true);
  assertEquals(held.reply("x"), false);
  assertEquals(server.tryReceive(), null);
  assertEquals(server.clear(), 0);
  const answer = client.request("after");
  present(await server.receive()).reply("works");
  assertEquals(text(await answer), "works");
});
