/** Deadlines of calls, limits of waits. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Client } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  longEnough,
  newTarget,
  present,
  runtimes,
  sleep,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

/** Runs `body` and asserts that it took that long at least. There is no maximum in a test. */
async function takes(milliseconds: number, body: () => unknown): Promise<void> {
  const begin = performance.now();
  await body();
  const elapsed = performance.now() - begin;
  // Timers count in whole milliseconds.
  assert(elapsed >= milliseconds - 1, `${elapsed} ms, ${milliseconds} were given`);
}

test("receive gives up with null, and not before", async () => {
  using pair = openPair();
  const { server } = pair;
  await takes(30, () => assertEquals(server.receiveSync({ timeout: 30 }), null));
  await takes(30, async () => assertEquals(await server.receive({ timeout: 30 }), null));
  await takes(0.5, () => assertEquals(server.receiveSync({ timeout: 0.5 }), null));
});

test("a receive that timed out has taken nothing", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const first = server.receive({ timeout: 10 });
  const second = server.receive();
  assertEquals(await first, null);
  using _call = present(client.trySend("for the second"));
  assertEquals(present(await second).text(), "for the second");
});

test("a time-out of 0 tries once", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  assertEquals(server.receiveSync({ timeout: 0 }), null);
  assertEquals(await server.receive({ timeout: 0 }), null);
  const call = present(client.trySend("x"));
  assertThrowsCode(() => client.sendSync("y", { timeout: 0 }), "BUSY");
  assertThrowsCode(() => client.requestSync("y", { timeout: 0 }), "BUSY");
  await assertRejectsCode(client.send("y", { timeout: 0 }), "BUSY");
  await assertRejectsCode(client.request("y", { timeout: 0 }), "BUSY");
  assertThrowsCode(() => call.getSync({ timeout: 0 }), "TIMEOUT");
  assertThrowsCode(() => call.readySync({ timeout: 0 }), "TIMEOUT");
  await assertRejectsCode(call.get({ timeout: 0 }), "TIMEOUT");
  await assertRejectsCode(call.ready({ timeout: 0 }), "TIMEOUT");
  const request = present(await server.receive({ timeout: 0 }));
  request.reply("there");
  await call.ready({ timeout: 0 });
  assertEquals(text(call.getSync({ timeout: 0 })), "there");
});

test("a request that no server takes: TIMEOUT, and it is never handed out", async () => {
  using pair = openPair();
  const { server, client } = pair;
  await takes(30, () => {
    assertThrowsCode(() => client.requestSync("sync", { timeout: 30 }), "TIMEOUT");
  });
  await takes(30, () => assertRejectsCode(client.request("async", { timeout: 30 }), "TIMEOUT"));
  assertEquals(server.tryReceive(), null);
  assertEquals(client.pending, 0);
  assertEquals(server.stats().inFlight, 0);
  assertEquals(server.stats().timeouts, 2);
});

test("a deadline that passes while a server holds the request: TIMEOUT, and the slot stays the server's", async () => {
  await longEnough(60, async (timeout) => {
    using pair = openPair({ slots: 1 });
    const { server, client } = pair;
    const answer = doomed(client.request("x", { timeout }));
    const request = await server.receive({ timeout });
    const left = request?.timeRemaining;
    if (!request || left === 0) return false;
    assert(left! > 0 && left! <= timeout, `${left}`);
    await assertRejectsCode(answer, "TIMEOUT");
    assertEquals(request.timeRemaining, 0);
    assertEquals(request.cancelled, true);
    // The server keeps the slot until it replies.
    assertEquals(client.trySend("y"), null);
    assertEquals(request.text(), "x");
    assertEquals(request.reply("too late"), false);
    using _next = present(client.trySend("y"));
    return true;
  });
});

test("a sent call past its deadline: TIMEOUT in every form of waiting", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const ways: [string, (call: ReturnType<Client["sendSync"]>) => unknown][] = [
    ["get", (call) => call.get()],
    ["ready", (call) => call.ready()],
    ["getSync", (call) => call.getSync()],
    ["readySync", (call) => call.readySync()],
  ];
  for (const [name, wait] of ways) {
    for (const sender of ["trySend", "sendSync", "send"] as const) {
      const call = present(await client[sender]("x", { timeout: 30 }));
      const error = await assertRejects(async () => await wait(call), Error);
      assertEquals((error as { code?: string }).code, "TIMEOUT", `${sender}, ${name}: ${error}`);
      assertEquals(server.tryReceive(), null, `${sender}, ${name}`);
    }
  }
});

test("tryGet of a call past its deadline: TIMEOUT", async () => {
  using pair = openPair();
  const { client } = pair;
  const call = present(client.trySend("x", { timeout: 5 }));
  let code = "";
  await eventually(() => {
    try {
      assertEquals(call.tryGet(), null);
    } catch (error) {
      code = (error as { code?: string }).code ?? String(error);
    }
    return code;
  });
  assertEquals(code, "TIMEOUT");
});

test("a request past its deadline is not handed out, even if its client does not look", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using _late = present(client.trySend("late", { timeout: 5 }));
  using _next = present(client.trySend("next"));
  await sleep(20);
  assertEquals(present(server.tryReceive()).text(), "next");
  assertEquals(server.tryReceive(), null);
});

test("the time-out of a wait leaves the call open", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = present(client.trySend("x"));
  await takes(20, () => assertThrowsCode(() => call.getSync({ timeout: 20 }), "TIMEOUT"));
  await takes(20, () => assertThrowsCode(() => call.readySync({ timeout: 20 }), "TIMEOUT"));
  await takes(20, () => assertRejectsCode(call.get({ timeout: 20 }), "TIMEOUT"));
  await takes(20, () => assertRejectsCode(call.ready({ timeout: 20 }), "TIMEOUT"));
  assertEquals(client.pending, 1);
  const request = present(server.tryReceive());
  assertEquals([request.cancelled, request.timeRemaining], [false, Infinity]);
  assertEquals(request.reply("in the end"), true);
  assertEquals(text(await call.get({ timeout: 10_000 })), "in the end");
});

test("no slot in time: BUSY, and not before", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  using _call = present(client.trySend("in the way"));
  for (const form of ["sendSync", "requestSync"] as const) {
    await takes(30, () => assertThrowsCode(() => client[form]("x", { timeout: 30 }), "BUSY"));
  }
  for (const form of ["send", "request"] as const) {
    await takes(30, () => assertRejectsCode(client[form]("x", { timeout: 30 }), "BUSY"));
  }
  assertEquals(client.pending, 1);
  assertEquals(present(server.tryReceive()).text(), "in the way");
  assertEquals(server.tryReceive(), null);
});

test("one deadline for the slot and for the call", async () => {
  await longEnough(100, async (timeout) => {
    using pair = openPair({ slots: 1 });
    const { server, client } = pair;
    const first = present(client.trySend("first"));
    const begin = performance.now();
    const second = doomed(client.request("second", { timeout }));
    await sleep(50);
    first.release();
    const request = await server.receive({ timeout });
    if (!request) return false;
    assertEquals(request.text(), "second");
    assert(request.timeRemaining <= timeout - 49, `${request.timeRemaining} ms are left`);
    await assertRejectsCode(second, "TIMEOUT");
    assert(performance.now() - begin >= timeout - 1);
    assertEquals(request.reply(), false);
    return true;
  });
});

test("an answer in time is an answer, however long the time-out", async () => {
  const target = newTarget();
  for (const name of runtimes) await startServer(name, target, "serve");
  using client = Client.open(target);
  for (const timeout of [600_000.5, 1e9, 1e15, 2 ** 31, Number.MAX_VALUE, Infinity]) {
    assertEquals(text(client.requestSync("x", { timeout })), "x");
    assertEquals(text(await client.request("x", { timeout })), "x");
    assertEquals(text(client.sendSync("x", { timeout }).getSync({ timeout })), "x");
    assertEquals(text(await (await client.send("x", { timeout })).get({ timeout })), "x");
  }
});

test("many deadlines at once end in their order", async () => {
  using pair = openPair();
  const { client } = pair;
  // Those that pass at one moment, while this process stands still, end in any order.
  await longEnough(10, async (unit) => {
    const order: number[] = [];
    await Promise.all([9, 3, 6, 1].map(async (factor) => {
      await assertRejectsCode(client.request("x", { timeout: factor * unit }), "TIMEOUT");
      order.push(factor);
    }));
    assertEquals(order.toSorted(), [1, 3, 6, 9]);
    return order.join() === "1,3,6,9";
  });
});

test("a time-out: a RangeError if negative or NaN, a TypeError if no number", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using call = present(client.trySend("x"));
  for (const timeout of [-1, -0.001, NaN, -Infinity]) {
    const options = { timeout };
    assertThrows(() => client.trySend("x", options), RangeError);
    assertThrows(() => client.sendSync("x", options), RangeError);
    assertThrows(() => client.requestSync("x", options), RangeError);
    assertThrows(() => call.getSync(options), RangeError);
    assertThrows(() => call.readySync(options), RangeError);
    assertThrows(() => server.receiveSync(options), RangeError);
    assertThrows(() => server.serveSync(() => {}, { idleTimeout: timeout }), RangeError);
    await assertRejects(() => client.send("x", options), RangeError);
    await assertRejects(() => client.request("x", options), RangeError);
    await assertRejects(() => call.get(options), RangeError);
    await assertRejects(() => call.ready(options), RangeError);
    await assertRejects(() => server.receive(options), RangeError);
    await assertRejects(() => Client.connect(newTarget(), options), RangeError);
  }
  for (const value of ["5", 5n, null, {}]) {
    const options = { timeout: value as unknown as number };
    assertThrows(() => client.trySend("x", options), TypeError);
    await assertRejects(() => server.receive(options), TypeError);
  }
  assertEquals(client.pending, 1);
});

test("a promise wait that has ended leaves no timer and no request behind", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const serving = server.serve((request) => request.bytes);
  // A deadline left behind would show in the test's sanitizers or delay its end.
  await Promise.all(Array.from({ length: 50 }, () => client.request("x", { timeout: 3_600_000 })));
  assertEquals(client.pending, 0);
  server.close();
  await serving;
});
