/** Raw payloads and `into`: recognized by internal slots, and refused by name when detached. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { createContext, runInContext } from "node:vm";
import { Client, type Payload, RemoteError, Server } from "../../mod.ts";
import { bytes, present, test, text } from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";
import { rejection } from "../support/rpc_helper.ts";

const realm = createContext({});
const there = (source: string): unknown => runInContext(source, realm);

const ofAnotherRealm = [
  "new Uint8Array([1, 2, 3])",
  "new Uint8Array([0, 1, 2, 3, 4]).subarray(1, 4)",
  "new Uint8Array([1, 2, 3]).buffer",
  "new DataView(new Uint8Array([0, 1, 2, 3]).buffer, 1)",
  "new Uint8ClampedArray([1, 2, 3])",
  "(() => { const b = new SharedArrayBuffer(3); new Uint8Array(b).set([1, 2, 3]); return b; })()",
];

test("bytes of another realm are a payload, both ways", async () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  for (const source of ofAnotherRealm) {
    const payload = there(source) as Payload;
    const answer = client.request(payload);
    const request = present(await server.receive());
    assertEquals(request.bytes, new Uint8Array([1, 2, 3]), source);
    request.reply(payload);
    assertEquals(await answer, new Uint8Array([1, 2, 3]), source);
  }
});

test("a handler may return bytes of another realm, and fail with its errors", async () => {
  await using server = Server.anonymous();
  const serving = server.serve((request) => {
    const source = request.text();
    if (source === "") throw there("new RangeError('of a realm', { cause: new TypeError('t') })");
    return there(source) as Payload;
  });
  using client = Client.fromFd(server.fd);
  for (const source of ofAnotherRealm) {
    assertEquals(await client.request(source), new Uint8Array([1, 2, 3]), source);
  }
  const error = await rejection<RemoteError>(client.request(""));
  assertInstanceOf(error, RemoteError);
  assertEquals([error.remoteName, error.remoteMessage], ["RangeError", "of a realm"]);
  const cause = error.cause as RemoteError;
  assertInstanceOf(cause, RemoteError);
  assertEquals([cause.remoteName, cause.remoteMessage], ["TypeError", "t"]);
  server.close();
  await serving;
});

test("a handler may throw a revoked Proxy, or an error behind a Proxy", async () => {
  await using server = Server.anonymous();
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const serving = server.serve((request) => {
    throw request.text() === "revoked" ? proxy : new Proxy(new RangeError("behind"), {});
  });
  using client = Client.fromFd(server.fd);
  const revoked = await rejection<RemoteError>(client.request("revoked"));
  assertEquals(revoked.remoteMessage, "an error that has no text");
  const proxied = await rejection<RemoteError>(client.request("proxied"));
  assertEquals([proxied.remoteName, proxied.remoteMessage], ["RangeError", "behind"]);
  server.close();
  await serving;
});

test("an answer is written into an array of another realm", async () => {
  await using server = Server.anonymous();
  const serving = server.serve((request) => request.text().toUpperCase());
  using client = Client.fromFd(server.fd);
  const into = there("new Uint8Array(5)") as Uint8Array;
  assertEquals(text(await client.request("abc", { into }) as Uint8Array<ArrayBuffer>), "ABC");
  assertEquals([...into], [0x41, 0x42, 0x43, 0, 0]);
  server.close();
  await serving;
});

test("an object that has only the prototype of bytes, or lost its bytes, is a TypeError by name", () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  const buffer = new ArrayBuffer(8, { maxByteLength: 8 });
  const short = new Uint8Array(buffer, 4);
  buffer.resize(2);
  const gone = new Uint8Array(8);
  const view = new DataView(gone.buffer);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const { proxy, revoke } = Proxy.revocable(new Uint8Array(1), {});
  revoke();
  const wrong: [unknown, string][] = [
    [gone, "detached"],
    [gone.buffer, "detached"],
    [view, "detached"],
    [short, "detached, or too short"],
    [Object.create(Uint8Array.prototype), "Cannot send"],
    [Object.create(ArrayBuffer.prototype), "Cannot send"],
    [new Proxy(new Uint8Array(1), {}), "Cannot send a Proxy"],
    [new Proxy(new ArrayBuffer(1), {}), "Cannot send a Proxy"],
    [proxy, "Cannot send a Proxy"],
  ];
  for (const [value, message] of wrong) {
    const payload = value as Payload;
    assertThrows(() => client.trySend(payload), TypeError, message);
    assertThrows(() => client.post(payload), TypeError, message);
    const call = present(client.trySend("x"));
    const request = present(server.tryReceive());
    assertThrows(() => request.reply(payload), TypeError, message);
    request.reply("fine");
    assertEquals(call.getSync(), bytes("fine"));
  }
  const call = present(client.trySend("x"));
  present(server.tryReceive()).reply("fine");
  for (const [value] of wrong) {
    const into = value as Uint8Array;
    assertThrows(() => call.getSync({ into }), TypeError, "Cannot write an answer into");
  }
  assertThrows(
    () => call.getSync({ into: new Uint16Array(9) as unknown as Uint8Array }),
    TypeError,
  );
  assertEquals(call.getSync(), bytes("fine"));
  assertEquals(server.tryReceive(), null);
});

test("a long value in an error message is cut", () => {
  using pair = openAnonymousPair();
  const { client } = pair;
  class Long {
    static get name(): string {
      return "n".repeat(2 ** 20);
    }
  }
  const error = assertThrows(() => client.post(new Long() as unknown as Payload), TypeError);
  assert(error.message.length < 500, String(error.message.length));
});
