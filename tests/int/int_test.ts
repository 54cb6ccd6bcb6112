import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Client,
  IntClient,
  IntServer,
  type IntServerRequest,
  RemoteError,
  Server,
} from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  newTarget,
  pairs,
  spawn,
  test,
} from "../support/harness.ts";
import { openIntPair } from "../support/open_pair.ts";

/** The corners of the range, and values that a double or 32 bits would get wrong. */
const values: readonly bigint[] = [
  0n,
  1n,
  -1n,
  2n ** 31n,
  -(2n ** 31n) - 1n,
  2n ** 53n + 1n,
  -(2n ** 53n) - 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];

function received(request: IntServerRequest | null): IntServerRequest {
  assert(request, "no request");
  return request;
}

test("integers of the whole range: arrive in every form", async () => {
  using pair = openIntPair({ slots: 4 });
  const { server, client } = pair;
  for (const value of values) {
    const tried = client.trySend(value)!;
    assertEquals(tried.tryGet(), null);
    const request = received(server.tryReceive());
    assertEquals([request.value, request.id, request.deliveries], [value, tried.id, 1]);
    assertEquals(request.reply(~value), true);
    assertEquals(request.value, value, "kept after the reply");
    tried.readySync();
    assertEquals(tried.tryGet(), ~value);

    const sent = client.sendSync(value);
    received(server.receiveSync()).reply(value);
    assertEquals(sent.getSync(), value);

    const promised = await client.send(value);
    const ready = promised.ready();
    received(await server.receive()).reply(value);
    await ready;
    assertEquals(await promised.get(), value);
  }
});

test("serve: a handler answers with an integer, nothing or an error", async () => {
  const server = IntServer.anonymous({ slots: 4 });
  using client = IntClient.fromFd(server.fd);
  const serving = server.serve(async ({ value }) => {
    await Promise.resolve();
    if (value < 0) throw new RangeError("negative");
    return value > 0 ? value * 2n : undefined;
  });
  const answers = await Promise.all([1n, 2, 3n, 0n].map((value) => client.request(value)));
  assertEquals(answers, [2n, 4n, 6n, 0n]);
  const error = await assertRejects(() => client.request(-1), RemoteError, "negative");
  assertEquals(error.remoteName, "RangeError");
  server.close();
  await serving;
});

test("a value that is no 64-bit integer is refused before anything is sent", async () => {
  using pair = openIntPair({ slots: 4 });
  const { server, client } = pair;
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n]) {
    assertThrows(() => client.trySend(value), RangeError, "64 bits");
  }
  for (const value of [1.5, NaN, Infinity, 2 ** 53, "1", null, undefined, {}]) {
    await assertRejects(() => client.request(value as number), TypeError, "safe integer");
  }
  assertEquals([client.pending, server.tryReceive()], [0, null]);
  using call = client.sendSync(1);
  assertThrows(() => received(server.tryReceive()).reply(0.5), TypeError);
  assertEquals(call.tryGet(), null, "a refused reply leaves the request open");
});

test("a channel is for integers or for bytes", () => {
  const integers = newTarget();
  const bytes = newTarget();
  using _integers = IntServer.create(integers);
  using _bytes = Server.create(bytes);
  assertThrowsCode(() => Client.open(integers), "MISMATCH");
  assertThrowsCode(() => Server.open(integers), "MISMATCH");
  assertThrowsCode(() => IntClient.open(bytes), "MISMATCH");
  assertThrowsCode(() => IntServer.open(bytes), "MISMATCH");
});

test("posts, batches, cancel and reply by id, clear: as with bytes", async () => {
  using pair = openIntPair({ slots: 4 });
  const { server, client } = pair;
  assertEquals(client.post(1n), true);
  using second = client.sendSync(2n);
  using third = client.sendSync(3n);
  const requests = server.tryReceiveMany(2);
  assertEquals(requests.map(({ value, oneWay }) => [value, oneWay]), [[1n, true], [2n, false]]);
  assertEquals(server.reply(requests[0]!.id), true);
  assertEquals(server.reply(second.id, 20n), true);
  assertEquals(second.getSync(), 20n);
  assertEquals(client.cancel(third.id), true);
  assertThrowsCode(() => third.getSync(), "CANCELLED");
  const cleared = client.request(4n);
  assertEquals(server.clear(), 1);
  await assertRejectsCode(cleared, "CANCELLED");
});

test("iteration ends when the server is closed", async () => {
  using pair = openIntPair({ slots: 4 });
  const { server, client } = pair;
  const seen: bigint[] = [];
  const answers = Promise.all([1n, 2n].map((value) => client.request(value)));
  for await (const request of server) {
    seen.push(request.value);
    request.reply(-request.value);
    if (seen.length === 2) server.close();
  }
  assertEquals([seen, await answers], [[1n, 2n], [-1n, -2n]]);
});

for (const { server, client, title } of pairs) {
  test(`${title}: integers of the whole range arrive`, async () => {
    const target = newTarget();
    const serving = await spawn(server, "int.ts", ["server", target]);
    await serving.expect("ready");
    const calling = await spawn(client, "int.ts", ["client", target]);
    await calling.expect("ready");
    for (const value of values) {
      const successor = BigInt.asIntN(64, value + 1n);
      assertEquals(await calling.ask(String(value)), { value: String(successor) });
    }
    serving.end();
    assertEquals(await serving.exited, { code: 0, signal: null });
  });
}
