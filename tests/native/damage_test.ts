/** Damaged requests and rings: a server reports them and goes on. */
import { assertEquals } from "@std/assert";
import { Client, connect, IntClient, IntServer, serve, Server } from "../../mod.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  newTarget,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";
import { exchange, headOffset, requestLengthOffset, write32 } from "../support/scribble.ts";

/** Queues requests, and makes the length of the second nonsense. */
function queue(target: string, client: Client): Promise<Uint8Array>[] {
  const calls = ["a", "b", "c"].map((payload) => doomed(client.request(payload)));
  write32(target, requestLengthOffset(1), 0xffff_ffff);
  return calls;
}

async function check(calls: Promise<Uint8Array>[]): Promise<void> {
  assertEquals(text(await calls[0]!), "A");
  await assertRejectsCode(calls[1]!, "SERVER_DIED");
  assertEquals(text(await calls[2]!), "C");
}

const upper = (payload: string) => payload.toUpperCase();

test("a request of impossible length fails alone: serve", async () => {
  const target = newTarget();
  await using server = Server.create(target, { slots: 8 });
  using client = Client.open(target);
  const calls = queue(target, client);
  const serving = server.serve((request) => upper(request.text()));
  await check(calls);
  assertEquals(text(await client.request("more")), "MORE");
  assertEquals(server.stats().failures, 1);
  server.close();
  await serving;
});

test("a request of impossible length fails alone: receive, iteration, many", async () => {
  for (const form of ["receive", "iterate", "many", "try", "sync", "manySync"] as const) {
    using pair = openPair({ slots: 8 });
    const { server, client, target } = pair;
    const calls = queue(target, client);
    let served = 0;
    const answer = (request: { text(): string; reply(payload: string): boolean } | null) => {
      if (!request) return;
      served += 1;
      request.reply(upper(request.text()));
    };
    if (form === "iterate") {
      for await (const request of server) {
        answer(request);
        if (served === 2) break;
      }
    }
    while (served < 2) {
      if (form === "receive") answer(await server.receive());
      else if (form === "many") (await server.receiveMany(1)).forEach(answer);
      else if (form === "try") answer(server.tryReceive());
      else if (form === "sync") answer(server.receiveSync());
      else server.receiveManySync(5).forEach(answer);
    }
    await check(calls);
  }
});

test("a request of impossible length fails alone: serveSync", async () => {
  using pair = openPair({ slots: 8 });
  const { server, client, target } = pair;
  const calls = queue(target, client);
  assertEquals(server.serveSync((request) => upper(request.text()), { idleTimeout: 20 }), 2);
  await check(calls);
});

test("a request of impossible length fails alone: integers", async () => {
  const target = newTarget();
  await using server = IntServer.create(target, { slots: 8 });
  using client = IntClient.open(target);
  const calls = [1n, 2n, 3n].map((value) => doomed(client.request(value)));
  write32(target, requestLengthOffset(1), 0xffff_ffff);
  const serving = server.serve((request) => request.value * 2n);
  assertEquals(await calls[0]!, 2n);
  await assertRejectsCode(calls[1]!, "SERVER_DIED");
  assertEquals(await calls[2]!, 6n);
  server.close();
  await serving;
});

test("a request of impossible length fails alone: typed service", async () => {
  const target = newTarget();
  const api = { double: (value: number) => value * 2 };
  // Its calls wait in the queue until a service starts.
  using keeper = Client.open(target, { create: { slots: 8 } });
  using remote = connect<typeof api>(target);
  const calls = [1, 2, 3].map((value) => doomed(remote.double(value)));
  await eventually(() => keeper.stats().queued === 3);
  write32(target, requestLengthOffset(1), 0xffff_ffff);
  await using service = serve(target, api);
  assertEquals(await calls[0]!, 2);
  await assertRejectsCode(calls[1]!, "SERVER_DIED");
  assertEquals(await calls[2]!, 6);
  assertEquals(await remote.double(4), 8);
  void service;
});

test("a ring that is damaged for a moment ends no serving", async () => {
  const target = newTarget();
  await using server = Server.create(target, { slots: 8 });
  using client = Client.open(target);
  let hasEnded = false;
  const serving = server.serve((request) => upper(request.text())).finally(() => hasEnded = true);
  assertEquals(text(await client.request("before")), "BEFORE");
  const head = exchange(target, headOffset, 0x1234_5678_9abc_def0n);
  const call = client.request("meanwhile");
  await new Promise((resolve) => setTimeout(resolve, 50));
  // A process that stands still does not see how long a moment was.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_200);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(hasEnded, false);
  exchange(target, headOffset, head);
  assertEquals(text(await call), "MEANWHILE");
  assertEquals(text(await client.request("after")), "AFTER");
  server.close();
  await serving;
});

test("a ring that stays damaged is an error of serving, and not of the next process", async () => {
  using pair = openPair({ slots: 8 });
  const { server, client, target } = pair;
  const serving = doomed(server.serve(() => "?"));
  exchange(target, headOffset, 0x1234_5678_9abc_def0n);
  const call = doomed(client.request("?"));
  await assertRejectsCode(serving, "CORRUPT");
  client.close();
  await assertRejectsCode(call, "CLOSED");
});
