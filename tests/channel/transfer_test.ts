/** Views of shared memory whose buffer a user transfers: the next message gets a new mapping. */
import { assert, assertEquals } from "@std/assert";
import { Client, connect, raw, serve, Server, type ServerRequest } from "../../mod.ts";
import { newTarget, pattern, present, test } from "../support/harness.ts";

/** Ways to detach a buffer from its views. */
const ways: Readonly<Record<string, (bytes: Uint8Array<ArrayBuffer>) => unknown>> = {
  "a byte stream": (bytes) =>
    new ReadableStream({ type: "bytes", start: (controller) => controller.enqueue(bytes) }),
  "structuredClone": (bytes) => structuredClone(bytes, { transfer: [bytes.buffer] }),
  "postMessage": (bytes) => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(bytes, [bytes.buffer]);
    port1.close();
    port2.close();
  },
  "transfer": (bytes) => bytes.buffer.transfer(),
  "transfer to another length": (bytes) => bytes.buffer.transfer(16),
};

const lengths = [12, 40, 1_000, 60_000];

/** A request with that payload that a server holds. */
function ask(server: Server, client: Client, bytes: Uint8Array): [ServerRequest, () => Uint8Array] {
  const call = client.sendSync(bytes);
  return [present(server.tryReceive()), () => call.getSync()];
}

for (const [way, take] of Object.entries(ways)) {
  test(`transferred by ${way}: requests, responses and drafts go on`, () => {
    const server = Server.anonymous({ slots: 4 });
    const client = Client.fromFd(server.fd);
    for (let round = 0; round < 3; round++) {
      for (const length of lengths) {
        const sent = pattern(length, round);
        const [request, answer] = ask(server, client, sent);
        assertEquals(request.bytes, sent);
        const taken = request.bytes;
        take(taken);
        assertEquals(taken.byteLength, 0, "the view is gone");
        assertEquals(request.bytes, sent, "and there is another");
        assertEquals(request.copy(), sent);
        // Other requests in the same window.
        const [other, otherAnswer] = ask(server, client, pattern(length, round + 1));
        assertEquals(other.bytes, pattern(length, round + 1));
        const response = request.allocate(length);
        take(response);
        const again = request.allocate(length);
        again.set(sent);
        request.reply(again);
        assertEquals(answer(), sent);
        other.reply(other.bytes);
        assertEquals(otherAnswer(), pattern(length, round + 1));
        const draft = client.allocate(length);
        take(draft.bytes);
        draft.bytes.set(sent);
        const call = draft.send();
        const drafted = present(server.tryReceive());
        assertEquals(drafted.bytes, sent, "a draft keeps its length");
        drafted.reply(drafted.bytes);
        assertEquals(call.getSync(), sent);
      }
    }
    client.close();
    server.close();
  });
}

test("a transferred view stays readable when its handle is closed", () => {
  const server = Server.anonymous({ slots: 4 });
  const client = Client.fromFd(server.fd);
  const kept: ArrayBuffer[] = [];
  for (const length of lengths) {
    const [request] = ask(server, client, pattern(length, 7));
    kept.push(request.bytes.buffer.transfer());
  }
  client.close();
  server.close();
  let sum = 0;
  for (const buffer of kept) for (const byte of new Uint8Array(buffer)) sum += byte;
  assert(sum >= 0, "or the process would have ended");
});

test("a raw method may enqueue the bytes that it gets", async () => {
  const target = newTarget();
  const streams: ReadableStream<Uint8Array>[] = [];
  const api = {
    keep: raw((bytes: Uint8Array): number => {
      const { byteLength } = bytes;
      const start = (controller: ReadableByteStreamController) =>
        controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
      streams.push(new ReadableStream({ type: "bytes", start }));
      return byteLength;
    }),
    echo: (bytes: Uint8Array) => bytes,
  };
  await using service = serve(target, api);
  using remote = connect<typeof api>(target);
  for (let round = 0; round < 10; round++) {
    assertEquals(await remote.keep(pattern(50_000, round)), 50_000);
    assertEquals(await remote.echo(pattern(50_000, round)), pattern(50_000, round));
    assertEquals(await remote.echo(pattern(20, round)), pattern(20, round));
  }
  assertEquals(streams.length, 10);
  void service;
});
