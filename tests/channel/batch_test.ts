import { assertEquals, assertThrows } from "@std/assert";
import { Server, type ServerRequest } from "../../mod.ts";
import { newTarget, runtimes, startClient, test } from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";

function texts(requests: ServerRequest[]): string[] {
  return requests.map((request) => request.text());
}

test("tryReceiveMany takes what is there, or as many as asked for", () => {
  using pair = openAnonymousPair({ slots: 8 });
  const { server, client } = pair;
  assertEquals(server.tryReceiveMany(), []);
  const calls = ["a", "b", "c", "d"].map((text) => client.sendSync(text));
  assertEquals(texts(server.tryReceiveMany(2)), ["a", "b"]);
  assertEquals(texts(server.tryReceiveMany(10)), ["c", "d"]);
  assertEquals(server.tryReceiveMany(10), []);
  for (const call of calls) call.release();
});

test("receiveManySync waits for the first only", () => {
  using pair = openAnonymousPair({ slots: 8 });
  const { server, client } = pair;
  assertEquals(server.receiveManySync(3, { timeout: 5 }), []);
  const calls = ["a", "b", "c", "d"].map((text) => client.sendSync(text));
  assertEquals(texts(server.receiveManySync(3)), ["a", "b", "c"]);
  assertEquals(texts(server.receiveManySync(3)), ["d"]);
  for (const call of calls) call.release();
});

test("receiveMany waits for the first only, and in turn", async () => {
  using pair = openAnonymousPair({ slots: 8 });
  const { server, client } = pair;
  assertEquals(await server.receiveMany(3, { timeout: 5 }), []);
  const first = server.receiveMany(2);
  const second = server.receiveMany(2);
  const calls = ["a", "b", "c"].map((text) => client.sendSync(text));
  assertEquals(texts(await first), ["a", "b"]);
  assertEquals(texts(await second), ["c"]);
  for (const call of calls) call.release();
});

test("a batch size: a RangeError unless it is a whole number from 1", async () => {
  using server = Server.anonymous();
  for (const max of [0, -1, 1.5, NaN]) {
    assertThrows(() => server.tryReceiveMany(max), RangeError);
    assertThrows(() => server.receiveManySync(max), RangeError);
    const error = await server.receiveMany(max).catch((reason: unknown) => reason);
    assertEquals(error instanceof RangeError, true);
  }
});

for (const runtime of runtimes) {
  test(`a batch server answers a flood from ${runtime}`, async () => {
    const target = newTarget();
    using server = Server.create(target, { slots: 16 });
    const client = await startClient(runtime, target, "promise");
    client.send({ op: "flood", count: 1000, payload: "x" });
    let served = 0;
    while (served < 1000) {
      for (const request of await server.receiveMany(16)) {
        request.reply(request.bytes);
        served += 1;
      }
    }
    assertEquals(await client.message(), { count: 1000, errors: {} });
  });
}
