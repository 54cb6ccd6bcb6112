/** Abort signals: the ones that callers give, and the signal of a request. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { Client, Server, TandemError } from "../../mod.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  longEnough,
  newTarget,
  present,
  runtime,
  runtimes,
  spawn,
  startClient,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

/** The reason with which a promise rejects. */
async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`resolved to ${String(result)}`);
}

test("a signal that is already aborted: the call rejects and does nothing else", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const reason = { any: "value" };
  const signal = AbortSignal.abort(reason);
  using call = present(client.trySend("x"));
  assertStrictEquals(await rejection(client.request("y", { signal })), reason);
  assertStrictEquals(await rejection(client.send("y", { signal })), reason);
  assertStrictEquals(await rejection(call.get({ signal })), reason);
  assertStrictEquals(await rejection(call.ready({ signal })), reason);
  assertStrictEquals(await rejection(server.receive({ signal })), reason);
  assertEquals(present(server.tryReceive()).text(), "x");
  assertEquals(server.tryReceive(), null, "y was never sent");
});

test("abort without a reason rejects with an AbortError", async () => {
  using pair = openPair();
  const { server } = pair;
  const controller = new AbortController();
  const receiving = server.receive({ signal: controller.signal });
  controller.abort();
  assertEquals((await rejection(receiving) as Error).name, "AbortError");
});

test("AbortSignal.timeout works as a signal", async () => {
  using pair = openPair();
  const { server } = pair;
  const error = await rejection(server.receive({ signal: AbortSignal.timeout(10) }));
  assertEquals((error as Error).name, "TimeoutError");
});

test("abort of a queued request: it leaves the queue", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const controller = new AbortController();
  const answer = client.request("x", { signal: controller.signal });
  assertEquals(server.stats().queued, 1);
  controller.abort("stop");
  assertEquals(await rejection(answer), "stop");
  assertEquals(server.tryReceive(), null);
  assertEquals([client.pending, server.stats().inFlight], [0, 0]);
});

test("abort of a request that a server holds: the server learns of it", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const controller = new AbortController();
  const answer = client.request("x", { signal: controller.signal });
  const request = present(await server.receive());
  const heard = new Promise((resolve) => request.signal.addEventListener("abort", resolve));
  controller.abort("stop");
  assertEquals(await rejection(answer), "stop");
  await heard;
  assertEquals(request.signal.aborted, true);
  assertInstanceOf(request.signal.reason, TandemError);
  assertEquals(request.signal.reason.code, "CANCELLED");
  assertEquals([request.cancelled, request.reply("late")], [true, false]);
});

test("abort while a request waits for a slot: it is never sent", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const first = present(client.trySend("first"));
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = [client.request("x", { signal }), client.send("x", { signal })];
  const last = client.request("last");
  controller.abort("stop");
  for (const promise of waiting) assertEquals(await rejection(promise), "stop");
  present(server.tryReceive()).reply();
  first.getSync();
  const request = present(await server.receive());
  assertEquals(request.text(), "last");
  request.reply();
  await last;
});

test("abort of a wait leaves the call open", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = present(client.trySend("x"));
  const controller = new AbortController();
  const { signal } = controller;
  const [getting, readying] = [call.get({ signal }), call.ready({ signal })];
  const other = call.ready();
  controller.abort("stop");
  assertEquals(await rejection(getting), "stop");
  assertEquals(await rejection(readying), "stop");
  present(server.tryReceive()).reply("answer");
  await other;
  assertEquals(text(await call.get()), "answer");
});

test("an aborted receive has taken nothing", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const controller = new AbortController();
  const first = server.receive({ signal: controller.signal });
  const second = server.receive();
  controller.abort("stop");
  using _call = present(client.trySend("for the second"));
  assertEquals(await rejection(first), "stop");
  assertEquals(present(await second).text(), "for the second");
});

test("an abort after the end changes nothing", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const controller = new AbortController();
  const { signal } = controller;
  const receiving = server.receive({ signal });
  const answer = client.request("x", { signal });
  const request = present(await receiving);
  request.reply("y");
  assertEquals(text(await answer), "y");
  controller.abort();
  const next = client.request("z");
  present(await server.receive()).reply("z");
  assertEquals(text(await next), "z");
  assertEquals(server.stats().cancelled, 0);
});

test("a signal used for many calls collects no listeners", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const counted = countListeners(new AbortController().signal);
  const serving = server.serve((request) => request.bytes);
  for (let round = 0; round < 20; round++) {
    await client.request("x", { signal: counted.signal });
    const call = await client.send("x", { signal: counted.signal });
    await call.get({ signal: counted.signal });
    await assertRejectsCode(
      Client.connect(newTarget(), { signal: counted.signal, timeout: 0 }),
      "TIMEOUT",
    );
  }
  server.close();
  await serving;
  using other = Server.open(present(client.path));
  for (let round = 0; round < 20; round++) {
    assertEquals(await other.receive({ signal: counted.signal, timeout: 0.1 }), null);
  }
  assertEquals(counted.listeners, 0);
});

/** A signal that counts its listeners. */
function countListeners(signal: AbortSignal): { signal: AbortSignal; listeners: number } {
  const counted = { signal, listeners: 0 };
  const { addEventListener, removeEventListener } = signal;
  const known = new Set<unknown>();
  const note = () => counted.listeners = known.size;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    known.add(args[1]);
    note();
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    known.delete(args[1]);
    note();
    removeEventListener.apply(signal, args);
  };
  return counted;
}

test("request.signal aborts when the call is cancelled", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = present(client.trySend("x"));
  const request = present(server.tryReceive());
  const { signal } = request;
  assertStrictEquals(request.signal, signal, "it is always the same");
  call.cancel();
  await eventually(() => signal.aborted);
  assertEquals((signal.reason as TandemError).code, "CANCELLED");
});

test("request.signal aborts when the call's deadline passes", async () => {
  await longEnough(20, async (timeout) => {
    using pair = openPair();
    const { server, client } = pair;
    const call = present(client.trySend("x", { timeout }));
    const request = server.tryReceive();
    if (!request) return false;
    const { signal } = request;
    await assertRejectsCode(call.get(), "TIMEOUT");
    await eventually(() => signal.aborted);
    assertEquals((signal.reason as TandemError).code, "TIMEOUT");
    return true;
  });
});

test("request.signal aborts when the client closes, and when it dies", async () => {
  const target = newTarget();
  using server = Server.create(target);
  for (const end of ["close", "kill"]) {
    const client = await startClient(runtime, target, "promise");
    client.send({ op: "request", payload: "x" });
    const request = present(await server.receive());
    const { signal } = request;
    assertEquals(signal.aborted, false);
    if (end === "close") client.send({ op: "close" });
    else await client.killed();
    await eventually(() => signal.aborted, `an abort after ${end}`);
    assertInstanceOf(signal.reason, TandemError);
    assertEquals(request.cancelled, true);
    assertEquals(request.reply("x"), false);
  }
});

test("request.signal of an answered request does not abort", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const call = present(client.trySend("x"));
  const request = present(server.tryReceive());
  const { signal } = request;
  request.reply("y");
  assertEquals(text(call.getSync()), "y");
  // The next call goes through the same loop, which would have reported an abort before.
  const answer = client.request("z");
  present(await server.receive()).reply();
  await answer;
  assertEquals(signal.aborted, false);
});

for (const name of runtimes) {
  test(`a handler in ${name} learns of an abort while new requests keep its loop busy`, async () => {
    const target = newTarget();
    const server = await spawn(name, "abortable.ts", [target]);
    await server.expect("ready");
    using client = Client.open(target);
    for (let round = 0; round < 10; round++) {
      const controller = new AbortController();
      const answer = doomed(client.request("x", { signal: controller.signal }));
      await server.expect("working");
      // Before it can sleep, it has to watch each of these.
      const newcomers = Array.from({ length: 10 }, () => Client.open(target));
      controller.abort("stop");
      assertEquals(await rejection(answer), "stop");
      await server.expect("aborted CANCELLED");
      for (const newcomer of newcomers) newcomer.close();
    }
  });
}

test("a handler learns of an abort by a client in another process", async () => {
  const target = newTarget();
  const server = await spawn(runtime, "abortable.ts", [target]);
  await server.expect("ready");
  using client = Client.open(target);
  const controller = new AbortController();
  const answer = client.request("x", { signal: controller.signal });
  await server.expect("working");
  controller.abort("stop");
  assertEquals(await rejection(answer), "stop");
  await server.expect("aborted CANCELLED");
  let begun: Promise<string> | undefined;
  await longEnough(1_000, async (timeout) => {
    const timed = doomed(client.request("x", { timeout }));
    begun ??= doomed(server.line());
    const line = await Promise.race([begun, timed.then(text, () => null)]);
    if (line === null) return false;
    assertEquals(line, "working");
    await assertRejectsCode(timed, "TIMEOUT");
    const reason = await server.line();
    assert(/^aborted (TIMEOUT|CANCELLED)$/.test(reason), reason);
    return true;
  });
});
