/** Requests that a process passes on for a peer of its own, as servers and services see them. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import process from "node:process";
import { callContext, Client, type Peer, raw, serve, Server, type ServiceCall } from "../../mod.ts";
import { isEqual } from "../../src/base/bytes.ts";
import { encodeNote, noteBytesIn, readNote } from "../../src/channel/forwarding.ts";
import { Forwarder } from "../support/forwarder.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  bytes,
  type Child,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  present,
  type Runtime,
  runtime,
  sleep,
  spawn,
  test,
  text,
} from "../support/harness.ts";
import { rejection } from "../support/rpc_helper.ts";

const noOrigin = { address: "", key: undefined, method: undefined };

/** A server on a channel of its own, and a forwarder. */
function openForwarded(options = {}) {
  const target = newTarget();
  const server = Server.create(target, options);
  const forwarder = new Forwarder(target);
  return {
    target,
    server,
    forwarder,
    [Symbol.dispose]() {
      forwarder[Symbol.dispose]();
      server.close();
    },
  };
}

test("a note: what was written is read, behind any payload", () => {
  const part = fc.string({ unit: "binary", maxLength: 80 }).map((text) =>
    text.replaceAll("\n", "")
  );
  fc.assert(fc.property(fc.uint8Array(), part, part, part, (payload, address, key, method) => {
    const note = encodeNote({ address, key, method });
    const whole = new Uint8Array([...payload, ...note]);
    assertEquals(noteBytesIn(whole), note.byteLength);
    const origin = { address, key: key || undefined, method: method || undefined };
    assertEquals(readNote(whole.slice(payload.byteLength)), origin);
  }));
});

test("a note: a line feed in an address or a key makes no other key or method", () => {
  const note = encodeNote({ address: "a\nforged", key: "k\nforged", method: undefined });
  assertEquals(readNote(note), { address: "a forged", key: "k forged", method: undefined });
});

test("a note: a text that is too long is cut", () => {
  const note = encodeNote({ ...noOrigin, address: "x".repeat(70_000) });
  assertEquals(note.byteLength, 1_026);
  assertEquals(noteBytesIn(note), 1_026);
  assertEquals(readNote(note), { ...noOrigin, address: "x".repeat(1_024) });
});

test("a hostile note: its length never reaches beyond the request", () => {
  const hostile = fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 2_000 }));
  fc.assert(fc.property(hostile, fc.nat(65_535), (content, length) => {
    const whole = new Uint8Array([...content, length & 255, length >> 8]);
    const found = noteBytesIn(whole);
    assertEquals(found, length <= 1_024 && length <= content.byteLength ? length + 2 : 0);
    if (found > 0) readNote(whole.slice(whole.byteLength - found));
    // Without room for a length.
    assertEquals([noteBytesIn(content.slice(0, 0)), noteBytesIn(content.slice(0, 1))], [0, 0]);
  }));
});

test("a hostile note: a server gets a request that it can read, answer and fail", () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  const hostile = fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(65_535));
  fc.assert(fc.property(hostile, fc.boolean(), ([content, length], fails) => {
    const note = new Uint8Array([...content, length & 255, length >> 8]);
    const answer = doomed(present(forwarder.trySend(new Uint8Array(0), { note })));
    const request = present(server.tryReceive());
    const { peer } = request;
    assertEquals(peer.pid, process.pid);
    const noteBytes = length <= content.byteLength ? length + 2 : 0;
    assertEquals([...request.bytes], [...note.slice(0, note.byteLength - noteBytes)]);
    assertEquals(peer.address === undefined, noteBytes === 0);
    if (fails) request.fail(new Error("no"));
    else request.reply(request.bytes);
    assertEquals(forwarder.client.collect(), 1);
    void answer;
  }));
});

test("requests of one byte and of none, without a note: the server gets them", () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  for (const payload of [new Uint8Array(0), bytes("x")]) {
    doomed(present(forwarder.trySend(payload, { note: new Uint8Array(0) })));
    const request = present(server.tryReceive());
    assertEquals(request.bytes.byteLength, payload.byteLength);
    assertEquals(request.peer.address, undefined);
    request.reply("");
    forwarder.client.collect();
  }
});

test("a server gets the payload unchanged, whatever it ends with, and the origin as peer", () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  const origin = { address: "192.0.2.7", key: "k".repeat(40), method: "ignored" };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), (payload) => {
      doomed(present(forwarder.trySend(payload, origin)));
      const request = present(server.tryReceive());
      assertEquals([...request.bytes], [...payload]);
      const { pid, uid, address, key } = request.peer;
      assertEquals([pid, address, key], [process.pid, origin.address, origin.key]);
      assertEquals([uid, request.peer.runtime], [process.getuid!(), runtime]);
      request.reply("");
      forwarder.client.collect();
    }),
    { numRuns: 50 },
  );
});

test("payloads around the sizes at which they lie elsewhere in memory arrive unchanged, with notes of all lengths", () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  for (const key of [undefined, "k".repeat(40), "k".repeat(120)]) {
    for (let length = 0; length < 220; length++) {
      const payload = new Uint8Array(length).map((_, index) => length + index);
      doomed(present(forwarder.trySend(payload, { key })));
      const request = present(server.tryReceive());
      assertEquals([...request.bytes], [...payload]);
      assertEquals([request.peer.address, request.peer.key], ["192.0.2.1", key]);
      request.reply("");
      forwarder.client.collect();
    }
  }
});

test("peer: no key where there is none; asked for after the answer, it is unknown; kept, it stays", async () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  const answers = ["a", "b"].map((payload) => forwarder.call(payload));
  const [early, late] = [present(server.tryReceive()), present(server.tryReceive())];
  const { peer } = early;
  assertEquals(peer.address, "192.0.2.1");
  assert(!("key" in peer));
  assert(Object.isFrozen(peer));
  early.reply("1");
  late.reply("2");
  assertEquals(early.peer, peer);
  assertEquals([late.peer.pid, late.peer.address], [0, undefined]);
  assertEquals((await Promise.all(answers)).map(text), ["1", "2"]);
});

test("a request that nobody has passed on has no address, also one that looks like a note", async () => {
  using pair = openForwarded();
  using client = Client.open(pair.target);
  const note = encodeNote({ address: "192.0.2.66", key: "forged", method: undefined });
  const answer = client.request(note);
  const request = present(await pair.server.receive());
  assertEquals([...request.bytes], [...note]);
  assertEquals([request.peer.address, request.peer.key], [undefined, undefined]);
  request.reply("");
  await answer;
});

test("answers: bytes, texts and errors come as a client's do", async () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  const serving = server.serve((request) => {
    if (request.text() === "fail") throw new RangeError("not today");
    return request.text() === "empty" ? "" : new Uint8Array(300_000).fill(7);
  });
  assertEquals(await forwarder.call("x"), new Uint8Array(300_000).fill(7));
  assertEquals((await forwarder.call("empty")).byteLength, 0);
  const error = await assertRejectsCode(forwarder.call("fail"), "REMOTE");
  assert(error.message.includes("not today"));
  server.close();
  await serving;
});

test("many calls at once, answered in any order: each gets its own answer", async () => {
  using pair = openForwarded({ slots: 64 });
  const { server, forwarder } = pair;
  const calls = Array.from({ length: 64 }, (_, index) => forwarder.call(`${index}`));
  const requests = calls.map(() => present(server.tryReceive()));
  assertEquals(server.tryReceive(), null);
  for (const request of requests.reverse()) request.reply(`${request.text()}!`);
  const answers = (await Promise.all(calls)).map(text);
  assertEquals(answers, calls.map((_, index) => `${index}!`));
});

/** Sends payloads together. `ends` gets what became of each: the answer, or the code of its error. */
function sendTogether(forwarder: Forwarder, payloads: readonly Uint8Array[], timeout = NaN) {
  const { client } = forwarder;
  const note = encodeNote({ address: "192.0.2.1", key: undefined, method: undefined });
  const parts = payloads.map((payload) => [...payload, ...note]);
  const memory = new Uint8Array(parts.flat());
  const ends: string[] = [];
  let offset = 0;
  payloads.forEach((_, index) => {
    const { length } = parts[index]!;
    client.plan(offset, length, {
      read: (answer) => void (ends[index] = `read ${text(answer.slice())}`),
      readPlaced: (at, count) => void (ends[index] = text(client.answers.slice(at, at + count))),
      fail: (error) => void (ends[index] = (error as { code: string }).code),
    });
    offset += length;
  });
  return { sent: client.forwardPlanned(memory, timeout), ends };
}

test("requests that are sent together: each is one of its own, and gets its own end", () => {
  using pair = openForwarded({ slots: 64 });
  const { server, forwarder } = pair;
  const payloads = Array.from({ length: 64 }, (_, index) => bytes(`${index}`));
  const { sent, ends } = sendTogether(forwarder, payloads);
  assertEquals([sent, forwarder.client.outstanding], [64, 64]);
  const requests = payloads.map(() => present(server.tryReceive()));
  assertEquals(requests.map((request) => request.text()), payloads.map(text));
  assertEquals(requests[5]!.peer.address, "192.0.2.1");
  assertEquals(forwarder.client.collect(), 0);
  const long = "x".repeat(1_025);
  requests.forEach((request, index) => {
    if (index === 1) request.fail(new Error("no"));
    else request.reply(index === 2 ? long : index === 3 ? "" : `${request.text()}!`);
  });
  assertEquals([forwarder.client.collect(), forwarder.client.outstanding], [64, 0]);
  // Long ones are read one by one.
  const wanted = payloads.map((payload) => `${text(payload)}!`);
  assertEquals(ends, wanted.with(1, "REMOTE").with(2, `read ${long}`).with(3, ""));
});

test("requests that are sent together: those behind the first that cannot be sent are not sent", () => {
  using pair = openForwarded({ slots: 2, maxRequestBytes: 2_000 });
  const { server, forwarder } = pair;
  assertEquals(sendTogether(forwarder, ["a", "b", "c"].map(bytes)).sent, 2);
  assertEquals(sendTogether(forwarder, [bytes("d")]).sent, 0);
  for (const wanted of ["a", "b"]) {
    const request = present(server.tryReceive());
    assertEquals(request.text(), wanted);
    request.reply("");
  }
  assertEquals(forwarder.client.collect(), 2);
  const mixed = [bytes("e"), new Uint8Array(4_000), bytes("f")];
  assertEquals(sendTogether(forwarder, mixed).sent, 1);
  assertEquals(present(server.tryReceive()).text(), "e");
  assertEquals(server.tryReceive(), null);
  server.unlink();
  assertEquals(sendTogether(forwarder, [bytes("g")]).sent, 0);
});

test("requests that are sent together: their time is over, or the client is closed", async () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  const late = sendTogether(forwarder, ["a", "b"].map(bytes), 40);
  present(server.tryReceive()).reply("1");
  await eventually(() => {
    forwarder.client.collect();
    return forwarder.client.outstanding === 0;
  });
  assertEquals(late.ends, ["1", "TIMEOUT"]);
  const closed = sendTogether(forwarder, [bytes("c")]);
  forwarder.client.close();
  assertEquals(closed.ends, ["CLOSED"]);
});

test("a full channel: the request is not taken, and the next one is when there is room", async () => {
  using pair = openForwarded({ slots: 2 });
  const { server, forwarder } = pair;
  const calls = [forwarder.call("a"), forwarder.call("b")];
  assertEquals(forwarder.trySend(bytes("c")), null);
  assertEquals(forwarder.client.outstanding, 2);
  present(server.tryReceive()).reply("1");
  assertEquals(text(await calls[0]!), "1");
  const third = forwarder.call("c");
  present(server.tryReceive()).reply("2");
  present(server.tryReceive()).reply("3");
  assertEquals((await Promise.all([calls[1]!, third])).map(text), ["2", "3"]);
});

test("a payload that the channel just takes arrives, with the longest note; a longer one: TOO_LARGE, and nothing is sent", () => {
  for (const maxRequestBytes of [97, 2_000, 4_096, 2 ** 20]) {
    using pair = openForwarded({ slots: 2, maxRequestBytes });
    const { server, forwarder } = pair;
    const payload = new Uint8Array(maxRequestBytes).map((_, index) => index);
    for (const address of ["192.0.2.1", "x".repeat(2_000)]) {
      doomed(present(forwarder.trySend(payload, { address })));
      const request = present(server.tryReceive());
      assertEquals(isEqual(request.bytes, payload), true);
      assertEquals(request.peer.address, address.slice(0, 1_024));
      // The answer lies behind the note.
      request.reply(payload);
      assertEquals(forwarder.client.collect(), 1);
    }
    const note = new Uint8Array(0);
    const longer = new Uint8Array(maxRequestBytes + 1);
    assertThrowsCode(
      () => forwarder.trySend(longer, { note }),
      "TOO_LARGE",
      `${longer.byteLength}`,
    );
    const longerNote = new Uint8Array(1_027);
    assertThrowsCode(() => forwarder.trySend(payload, { note: longerNote }), "TOO_LARGE");
    assertEquals([forwarder.client.outstanding, server.tryReceive()], [0, null]);
  }
});

test("requests of at most 96 bytes share them with their notes: no channel is larger for that", () => {
  using pair = openForwarded({ maxRequestBytes: 96 });
  const { server, forwarder } = pair;
  const note = encodeNote({ address: "192.0.2.1", key: undefined, method: undefined });
  const payload = new Uint8Array(96 - note.byteLength).fill(7);
  doomed(present(forwarder.trySend(payload)));
  const request = present(server.tryReceive());
  assertEquals([request.bytes.byteLength, request.peer.address], [payload.byteLength, "192.0.2.1"]);
  request.reply("");
  forwarder.client.collect();
  assertThrowsCode(() => forwarder.trySend(new Uint8Array(payload.byteLength + 1)), "TOO_LARGE");
  assertEquals([forwarder.client.outstanding, server.tryReceive()], [0, null]);
});

test("room for a note is no room for the payload of other requests", () => {
  using pair = openForwarded({ maxRequestBytes: 2_000 });
  using client = Client.open(pair.target);
  assertThrowsCode(() => client.trySend(new Uint8Array(2_001)), "TOO_LARGE");
  assertThrowsCode(() => client.allocate(2_001), "TOO_LARGE");
});

test("an unlinked channel: NOT_FOUND", () => {
  using pair = openForwarded();
  pair.server.unlink();
  assertThrowsCode(() => pair.forwarder.trySend(bytes("x")), "NOT_FOUND");
});

test("a deadline: TIMEOUT, not before its time; the client waits no longer than until then", async () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  assertEquals(forwarder.client.patience, Infinity);
  const began = performance.now();
  const answer = doomed(present(forwarder.trySend(bytes("x"), { timeout: 60 })));
  assert(forwarder.client.patience <= 25);
  void forwarder.pump();
  const request = present(server.tryReceive());
  assert(request.timeRemaining <= 60);
  await assertRejectsCode(answer, "TIMEOUT");
  assert(performance.now() - began >= 59);
  assert(request.cancelled);
  assertEquals(request.reply("late"), false);
  assertEquals([forwarder.client.outstanding, forwarder.client.patience], [0, Infinity]);
});

async function startServer(runtime: Runtime, target: string): Promise<Child> {
  const server = await spawn(runtime, "zmq/server.ts", [target]);
  await server.expect("ready");
  return server;
}

for (const name of ownRuntime) {
  test(`${name}: a server dies with a request: SERVER_DIED, which the client finds by itself`, async () => {
    const target = newTarget();
    using keeper = Server.create(target);
    using forwarder = new Forwarder(target);
    const server = await startServer(name, target);
    const answer = doomed(present(forwarder.trySend(bytes("hold"))));
    await server.expect("holding");
    server.kill("SIGKILL");
    await server.exited;
    // Nobody else looks after the dead, and no bell rings.
    while (forwarder.client.collect() === 0) {
      assert(forwarder.client.patience <= 25);
      await sleep(forwarder.client.patience);
      forwarder.client.lookAround(true);
    }
    await assertRejectsCode(answer, "SERVER_DIED");
    assertEquals(keeper.stats().inFlight, 0);
  });

  test(`${name}: a request for a server that stands still: another one gets it`, async () => {
    const target = newTarget();
    const stopped = await startServer(name, target);
    const other = await startServer(name, target);
    using forwarder = new Forwarder(target);
    assertEquals(text(await forwarder.call("echo")), "echo");
    await stopped.stopped();
    for (let round = 0; round < 20; round++) {
      assertEquals(text(await forwarder.call(`echo ${round}`)), `echo ${round}`);
    }
    stopped.kill("SIGCONT");
    assert(other.isRunning);
  });
}

test("the notify descriptor's owner is woken: draining it takes nothing away", async () => {
  using pair = openForwarded();
  const { server, forwarder } = pair;
  assert(forwarder.client.notifyFd >= 0);
  const answer = forwarder.call("x");
  present(server.tryReceive()).reply("y");
  forwarder.client.drainNotify();
  assertEquals(text(await answer), "y");
});

test("closing ends calls in flight with CLOSED; twice is fine", async () => {
  using pair = openForwarded();
  const { forwarder } = pair;
  const answer = doomed(present(forwarder.trySend(bytes("x"))));
  forwarder.client.close();
  forwarder.client.close();
  await assertRejectsCode(answer, "CLOSED");
});

/** A typed service on a channel of its own, and a forwarder. */
async function serveForwarded<Api extends object>(api: Api, options = {}) {
  const target = newTarget();
  const service = serve(target, api, options);
  await service.ready;
  const forwarder = new Forwarder(target);
  return {
    target,
    forwarder,
    async [Symbol.asyncDispose]() {
      forwarder[Symbol.dispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

test("a service that is a bare function gets bytes of its own and gives bytes, texts or nothing", async () => {
  const seen: unknown[] = [];
  const results = new Map<string, unknown>([
    ["text", "ünï"],
    ["bytes", new Uint8Array([1, 2])],
    ["view", new DataView(new Uint8Array([9, 3, 4, 9]).buffer, 1, 2)],
    ["words", new Uint16Array([513])],
    ["buffer", new Uint8Array([5]).buffer],
    ["undefined", undefined],
    ["null", null],
    ["empty", ""],
  ]);
  await using pair = await serveForwarded((payload: Uint8Array) => {
    seen.push(payload);
    return results.get(new TextDecoder().decode(payload)) as string;
  });
  const found: number[][] = [];
  for (const name of results.keys()) found.push([...await pair.forwarder.call(name)]);
  const wanted = [[...bytes("ünï")], [1, 2], [3, 4], [1, 2], [5], [], [], []];
  assertEquals(found, wanted);
  // They are the method's own, and keep what was sent.
  assertEquals(seen.map((payload) => text(payload as Uint8Array)), [...results.keys()]);
  assert(seen.every((payload) => payload instanceof Uint8Array));
});

test("a service of one method: it is called, whatever its name", async () => {
  await using pair = await serveForwarded({
    shout: (payload: Uint8Array) => text(payload).toUpperCase(),
  });
  assertEquals(text(await pair.forwarder.call("abc")), "ABC");
  assertEquals(text(await pair.forwarder.call("abc", { method: "shout" })), "ABC");
});

test("a service of several methods: the given one, otherwise UNKNOWN_METHOD that lists them", async () => {
  class Api {
    first(): string {
      return "1";
    }
    second(payload: Uint8Array): string {
      return `${this.first()}2${text(payload)}`;
    }
  }
  await using pair = await serveForwarded(new Api());
  const { forwarder } = pair;
  assertEquals(text(await forwarder.call("3", { method: "second" })), "123");
  for (const method of [undefined, "third", "toString", "constructor", "__proto__"]) {
    const error = await rejection(forwarder.call("x", { method }));
    for (const part of ["first, second", "method", method ?? "names none"]) {
      assert(error.message.includes(part), error.message);
    }
  }
});

test("methods may be async, and may throw anything: the caller gets the message", async () => {
  await using pair = await serveForwarded({
    async later(payload: Uint8Array): Promise<string> {
      await sleep(1);
      return text(payload);
    },
    fail(): never {
      throw new RangeError("not today");
    },
    async failLater(): Promise<never> {
      await sleep(1);
      throw new TypeError("not tomorrow");
    },
    failStrangely(): never {
      throw undefined;
    },
  });
  const { forwarder } = pair;
  assertEquals(text(await forwarder.call("x", { method: "later" })), "x");
  for (const [method, message] of [["fail", "not today"], ["failLater", "not tomorrow"]] as const) {
    const error = await assertRejectsCode(forwarder.call("x", { method }), "REMOTE");
    assert(error.message.includes(message), error.message);
  }
  await assertRejectsCode(forwarder.call("x", { method: "failStrangely" }), "REMOTE");
  // The service goes on.
  assertEquals(text(await forwarder.call("y", { method: "later" })), "y");
});

test("a result that is no bytes: NOT_SERIALIZABLE, which says what to return", async () => {
  const detached = new Uint8Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const results: unknown[] = [{ a: 1 }, 5, 5n, [1], new Map(), Symbol("x"), () => {}];
  function* stream(): Generator<number> {
    yield 1;
  }
  results.push(stream());
  await using pair = await serveForwarded((payload: Uint8Array) =>
    results[Number(text(payload))] as string
  );
  for (const index of results.keys()) {
    const error = await assertRejectsCode(pair.forwarder.call(`${index}`), "REMOTE");
    const { remoteProperties } = error as unknown as { remoteProperties: { code: string } };
    assertEquals(remoteProperties.code, "NOT_SERIALIZABLE", error.message);
    assert(error.message.includes("return a string or bytes"), error.message);
  }
});

test("a result that is too long for the channel: TOO_LARGE, and the service goes on", async () => {
  const options = { maxResponseBytes: 2_000 };
  const api = (payload: Uint8Array) => "x".repeat(Number(text(payload)));
  await using pair = await serveForwarded(api, options);
  const error = await assertRejectsCode(pair.forwarder.call("2001"), "REMOTE");
  assert(error.message.includes("2000"), error.message);
  assertEquals((await pair.forwarder.call("2000")).byteLength, 2_000);
});

test("a raw method gets a view of shared memory, and may return it", async () => {
  let shared: Uint8Array | undefined;
  await using pair = await serveForwarded({
    echo: raw((payload: Uint8Array) => shared = payload),
  });
  const payload = new Uint8Array(5_000).map((_, index) => index % 251);
  assertEquals(await pair.forwarder.call(payload), payload);
  assert(present(shared).buffer.byteLength > 5_000, "it is part of the channel's memory");
});

test("around runs, sees the payload as the only argument, and may change it and the result", async () => {
  const seen: string[] = [];
  async function around(call: ServiceCall, next: () => Promise<unknown>): Promise<unknown> {
    const [payload] = call.args as [Uint8Array];
    seen.push(`${call.method} ${call.args.length} ${text(payload)} ${call.peer.address}`);
    call.args = [bytes(`(${text(payload)})`)];
    return `[${await next()}]`;
  }
  const api = { shout: (payload: Uint8Array) => text(payload).toUpperCase() };
  await using pair = await serveForwarded(api, { around });
  assertEquals(text(await pair.forwarder.call("abc")), "[(ABC)]");
  assertEquals(seen, ["shout 1 abc 192.0.2.1"]);
});

test("callContext() has the origin as peer, before and after an await", async () => {
  const peers: Peer[] = [];
  await using pair = await serveForwarded(async () => {
    peers.push(callContext()!.peer);
    await sleep(1);
    peers.push(callContext()!.peer);
  });
  await pair.forwarder.call("x", { address: "192.0.2.9", key: "k" });
  for (const { address, key, pid } of peers) {
    assertEquals([address, key, pid], ["192.0.2.9", "k", process.pid]);
  }
  assertEquals(peers.length, 2);
});

test("a method is told when the caller's deadline is over", async () => {
  let reason: unknown;
  await using pair = await serveForwarded(() => {
    const { signal } = callContext()!;
    return new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        reason = signal.reason;
        resolve();
      });
    });
  });
  await assertRejectsCode(pair.forwarder.call("x", { timeout: 50 }), "TIMEOUT");
  await eventually(() => reason !== undefined, "the signal aborts");
});

test("payloads that look like typed messages are payloads", async () => {
  const seen: string[] = [];
  await using pair = await serveForwarded((payload: Uint8Array) => {
    seen.push([...payload].join());
    return "";
  });
  const payloads = Array.from({ length: 40 }, (_, index) => new Uint8Array([index, 1, 2, 3]));
  for (const payload of payloads) await pair.forwarder.call(payload);
  assertEquals(seen, payloads.map((payload) => payload.join()));
});
