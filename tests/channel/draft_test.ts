import { assert, assertEquals, assertThrows } from "@std/assert";
import { Server } from "../../mod.ts";
import { assertRejectsCode, assertThrowsCode, test } from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";

/** The payloads below reach both maximum lengths. */
const sizes = { maxRequestBytes: 100_000, maxResponseBytes: 100_000 };

/** Both sides of the border between payloads in the slot's head and in its area. */
const lengths: readonly number[] = [0, 1, 96, 97, 120, 121, 4096, 100_000];

function fill(bytes: Uint8Array): Uint8Array {
  for (let index = 0; index < bytes.length; index++) bytes[index] = index * 7 + bytes.length;
  return bytes;
}

test("a draft is filled in place and sent, in every form", async () => {
  using pair = openAnonymousPair({ slots: 2, ...sizes });
  const { server, client } = pair;
  for (const length of lengths) {
    const expected = fill(new Uint8Array(length));

    const sent = client.allocate(length);
    fill(sent.bytes);
    const call = sent.send();
    const request = server.tryReceive()!;
    assertEquals(request.bytes, expected);
    assertEquals([request.isText, request.oneWay], [false, false]);
    request.reply("sent");
    assertEquals(new TextDecoder().decode(call.getSync()), "sent");

    const posted = client.allocate(length);
    fill(posted.bytes);
    posted.post();
    const oneWay = server.tryReceive()!;
    assertEquals(oneWay.bytes, expected);
    assertEquals(oneWay.oneWay, true);
    assertEquals(oneWay.reply(), true);

    const requested = client.allocate(length);
    fill(requested.bytes);
    const answer = requested.request();
    const third = server.tryReceive()!;
    assertEquals(third.bytes, expected);
    third.reply(third.bytes);
    assertEquals(await answer, expected);
  }
  assertEquals([client.pending, client.stats().inFlight], [0, 0]);
});

test("a draft's request past its deadline: TIMEOUT, and it leaves the queue", async () => {
  using pair = openAnonymousPair({ slots: 2, ...sizes });
  const { client } = pair;
  using worker = Server.fromFd(client.fd);
  // No server can answer while this thread is blocked.
  const draft = client.allocate(3);
  assertThrowsCode(() => draft.requestSync({ timeout: 5 }), "TIMEOUT");
  assertEquals(worker.tryReceive(), null, "cancelled with its deadline");
  const late = client.allocate(3).request({ timeout: 5 });
  await assertRejectsCode(late, "TIMEOUT");
  assertEquals(client.pending, 0);
});

test("a draft is used once", async () => {
  using pair = openAnonymousPair({ slots: 2, ...sizes });
  const { server, client } = pair;
  const uses = ["send", "post", "request", "requestSync", "discard"] as const;
  for (const first of uses) {
    const draft = client.allocate(1);
    const kept = first === "send" ? draft.send() : first === "post" ? draft.post() : null;
    if (first === "discard" || first === "request" || first === "requestSync") draft.discard();
    assertThrowsCode(() => draft.send(), "CLOSED");
    assertThrowsCode(() => draft.post(), "CLOSED");
    assertThrowsCode(() => draft.requestSync(), "CLOSED");
    await assertRejectsCode(draft.request(), "CLOSED");
    draft.discard();
    kept?.release();
    server.tryReceive()?.reply();
  }
  assertEquals(client.stats().inFlight, 0);
});

test("a draft holds a slot until it is discarded, and is not pending", () => {
  using pair = openAnonymousPair({ slots: 1, ...sizes });
  const { server, client } = pair;
  {
    using _draft = client.allocate(1);
    assertEquals(client.pending, 0);
    assertEquals(client.trySend("x"), null);
    assertThrowsCode(() => client.allocate(1), "BUSY");
    assertEquals(server.clear(), 0, "drafts are left alone");
    assertEquals(client.trySend("x"), null);
  }
  using call = client.trySend("x");
  assert(call);
});

test("the size of a draft: up to the channel's limit, and a whole number", () => {
  using pair = openAnonymousPair({ slots: 2, ...sizes });
  const { client } = pair;
  assertThrowsCode(() => client.allocate(100_001), "TOO_LARGE");
  for (const size of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => client.allocate(size), RangeError);
  }
  assertThrows(() => client.allocate("1" as unknown as number), TypeError);
  using draft = client.allocate(100_000);
  assertEquals(draft.bytes.byteLength, 100_000);
});

test("a response is filled in place, whole or in part", () => {
  using pair = openAnonymousPair({ slots: 2, ...sizes });
  const { server, client } = pair;
  for (const length of lengths) {
    for (const used of [length, length >> 1]) {
      using call = client.sendSync("x");
      const request = server.tryReceive()!;
      const response = fill(request.allocate(length)) as Uint8Array<ArrayBuffer>;
      const expected = response.slice(length - used);
      // The response is the end of the buffer, so the library moves it to the front.
      assertEquals(request.reply(response.subarray(length - used)), true);
      assertEquals(call.getSync(), expected, `${used} of ${length}`);
    }
  }
});

test("the size of a response filled in place: up to the channel's limit, and a whole number", () => {
  using pair = openAnonymousPair({ slots: 2, ...sizes });
  const { server, client } = pair;
  using call = client.sendSync("x");
  const request = server.tryReceive()!;
  assertThrowsCode(() => request.allocate(100_001), "TOO_LARGE");
  for (const size of [-1, 1.5, NaN]) assertThrows(() => request.allocate(size), RangeError);
  assertEquals(call.tryGet(), null, "still open");
  request.reply(request.allocate(2));
  assertThrowsCode(() => request.allocate(1), "CLOSED");
});

test("closing detaches every view", async () => {
  const pair = openAnonymousPair({ slots: 2, ...sizes });
  const { server, client } = pair;
  const draft = client.allocate(97);
  using call = client.sendSync("x".repeat(200));
  const request = server.tryReceive()!;
  const [bytes, response] = [request.bytes, request.allocate(200)];
  assertEquals([draft.bytes.length, bytes.length, response.length], [97, 200, 200]);
  pair[Symbol.dispose]();
  assertEquals([draft.bytes.length, bytes.length, response.length], [0, 0, 0]);
  // Harmless, as with every detached array.
  response[0] = 1;
  assertEquals([bytes[0], response[0]], [undefined, undefined]);
  assertThrowsCode(() => draft.send(), "CLOSED");
  assertThrowsCode(() => call.tryGet(), "CLOSED");
  await assertRejectsCode(call.get(), "CLOSED");
});

test("a view whose buffer was transferred away is harmless after close", () => {
  const pair = openAnonymousPair({ slots: 2, ...sizes });
  const { client } = pair;
  const { bytes } = client.allocate(97);
  bytes[0] = 7;
  const taken = new Uint8Array(bytes.buffer.transfer());
  pair[Symbol.dispose]();
  // The bytes are unspecified, but access must not crash.
  taken[taken.length - 1] = 1;
  assertEquals(taken.at(-1), 1);
});
