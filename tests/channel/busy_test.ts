/** Slots held by calls that no code waits for. */
import { assert, assertEquals } from "@std/assert";
import { type Call, Client, IntClient, IntServer } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  newTarget,
  present,
  test,
} from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";

const untaken = (count: number, slots: number) => `${count} of the ${slots} slots`;

test("BUSY says how many slots are held by calls of the handle that no code waits for", async () => {
  using pair = openAnonymousPair({ slots: 4 });
  const { server, client } = pair;
  const calls: Call[] = [];
  for (let count = 0; count < 4; count++) calls.push(await client.send("forgotten"));
  const all = [untaken(4, 4), "get()", "release()"];
  await assertRejectsCode(client.send("x", { timeout: 5 }), "BUSY", ...all);
  await assertRejectsCode(client.send("x", { timeout: 0 }), "BUSY", ...all);
  await assertRejectsCode(client.request("x", { timeout: 5 }), "BUSY", ...all);
  await assertRejectsCode(client.request("x", { timeout: 0 }), "BUSY", ...all);
  assertThrowsCode(() => client.sendSync("x", { timeout: 5 }), "BUSY", ...all);
  assertThrowsCode(() => client.requestSync("x", { timeout: 5 }), "BUSY", ...all);
  assertThrowsCode(() => client.allocate(1), "BUSY", ...all);
  // The answered calls still hold their slots.
  for (const request of server.tryReceiveMany()) request.reply("answer");
  await assertRejectsCode(client.send("x", { timeout: 5 }), "BUSY", ...all);
  // A call that a promise waits for does not count.
  await calls.pop()!.get();
  const waited = client.request("waited for", { timeout: 30_000 });
  await assertRejectsCode(client.send("x", { timeout: 5 }), "BUSY", untaken(3, 4));
  present(server.tryReceive()).reply();
  await waited;
  for (const call of calls) call.release();
  using again = await client.send("there is room");
  void again;
});

test("BUSY of a handle that has taken all its answers blames no call of its own", async () => {
  using pair = openAnonymousPair({ slots: 2 });
  const { server, client } = pair;
  using other = Client.fromFd(server.fd);
  const held = [await other.send("a"), await other.send("b")];
  const error = await assertRejectsCode(client.send("x", { timeout: 5 }), "BUSY");
  assert(!error.message.includes("of this handle"), error.message);
  for (const call of held) call.release();
  assertEquals(client.post("one way"), true);
  assertEquals(client.post("one way"), true);
  const posted = await assertRejectsCode(client.send("x", { timeout: 5 }), "BUSY");
  assert(!posted.message.includes("of this handle"), posted.message);
});

test("BUSY of integers says so as well", async () => {
  const target = newTarget();
  using server = IntServer.create(target, { slots: 2 });
  using client = IntClient.open(target);
  const calls = [client.sendSync(1), client.sendSync(2)];
  await assertRejectsCode(client.send(3, { timeout: 5 }), "BUSY", untaken(2, 2));
  for (const call of calls) call.release();
  assertEquals(server.stats().inFlight, 0);
});

test("256 sends that were forgotten: the next says so in time", async () => {
  using pair = openAnonymousPair({ slots: 256 });
  const { client } = pair;
  const calls: Call[] = [];
  for (let count = 0; count < 256; count++) calls.push(await client.send("x"));
  await assertRejectsCode(client.send("x", { timeout: 5 }), "BUSY", untaken(256, 256));
  assertEquals(calls.length, 256);
});
