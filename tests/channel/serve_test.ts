/** Serving with a handler, and iteration. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Client, type Result, Server, type ServerRequest } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  bytes,
  doomed,
  eventually,
  pattern,
  present,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

/** A promise and the function that settles it. */
function gate(): { readonly promise: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, open: resolve };
}

test("a handler's result is the answer", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const results: [Result | Promise<Result>, Uint8Array][] = [
    ["text", bytes("text")],
    [pattern(5000, 1), pattern(5000, 1)],
    [pattern(10, 2).buffer, pattern(10, 2)],
    [new Uint16Array([1, 2]).subarray(1), new Uint8Array([2, 0])],
    [Promise.resolve("later"), bytes("later")],
    ["", bytes("")],
    [undefined, bytes("")],
    [null, bytes("")],
  ];
  let next = 0;
  const serving = server.serve(() => results[next++]![0]);
  for (const [, wanted] of results) assertEquals(await client.request("x"), wanted);
  server.close();
  await serving;
});

test("a handler may answer by itself and return anything", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const values: unknown[] = [undefined, true, false, "not this", new Date(), { a: 1 }, 5n];
  let next = 0;
  const serving = server.serve((request) => {
    const index = next++;
    assertEquals(request.reply(`own ${index}`), true);
    return values[index] as Result;
  });
  for (let index = 0; index < values.length; index++) {
    assertEquals(text(await client.request("x")), `own ${index}`);
  }
  server.close();
  await serving;
});

test("a handler may fail by itself", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const serving = server.serve((request) => request.fail(new RangeError("no")));
  await assertRejectsCode(client.request("x"), "REMOTE", "RangeError: no");
  server.close();
  await serving;
});

test("a handler that throws or rejects fails its call and nothing else", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const serving = server.serve((request) => {
    if (request.text() === "throw") throw new TypeError("thrown");
    if (request.text() === "reject") return Promise.reject(new TypeError("rejected"));
    return "fine";
  });
  const answers = ["throw", "fine", "reject", "fine"].map((payload) =>
    doomed(client.request(payload))
  );
  await assertRejectsCode(answers[0]!, "REMOTE", "TypeError: thrown");
  assertEquals(text(await answers[1]!), "fine");
  await assertRejectsCode(answers[2]!, "REMOTE", "TypeError: rejected");
  assertEquals(text(await answers[3]!), "fine");
  server.close();
  await serving;
});

test("a result that cannot be sent fails the call", async () => {
  using pair = openPair({ maxResponseBytes: 10 });
  const { server, client } = pair;
  const results: unknown[] = [5, { a: 1 }, [1], new Date(), 5n, Symbol("x"), "eleven char"];
  let next = 0;
  const serving = server.serve(() => results[next++] as Result);
  for (const result of results) {
    await assertRejectsCode(client.request(String(result)), "REMOTE");
  }
  assertEquals(server.stats().failures, results.length);
  server.close();
  await serving;
});

test("a handler that throws after it has answered changes nothing", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const serving = server.serve((request) => {
    request.reply("answered");
    throw new Error("too late");
  });
  assertEquals(text(await client.request("x")), "answered");
  assertEquals(text(await client.request("x")), "answered");
  server.close();
  await serving;
});

test("concurrency bounds the handlers in progress", async () => {
  using pair = openPair();
  const { server, client } = pair;
  for (const concurrency of [1, 3]) {
    let running = 0;
    let most = 0;
    const stop = new AbortController();
    const serving = server.serve(async (request) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running -= 1;
      return request.bytes;
    }, { concurrency, signal: stop.signal });
    const answers = Array.from({ length: 20 }, (_, index) => client.request(`${index}`));
    assertEquals((await Promise.all(answers)).map(text), answers.map((_, index) => `${index}`));
    assertEquals(most, concurrency);
    stop.abort();
    await serving;
  }
});

test("requests beyond the concurrency stay in the queue, for other servers", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const release = gate();
  const serving = server.serve(() => release.promise.then(() => "first"), { concurrency: 1 });
  const answers = [client.request("1"), client.request("2")];
  await eventually(() => server.stats().queued === 1);
  using other = Server.open(present(server.path));
  const request = present(await other.receive());
  assertEquals(request.text(), "2");
  request.reply("second");
  assertEquals(text(await answers[1]!), "second");
  release.open();
  assertEquals(text(await answers[0]!), "first");
  server.close();
  await serving;
});

test("the default concurrency is the number of slots", async () => {
  using pair = openPair({ slots: 5 });
  const { server, client } = pair;
  const release = gate();
  let running = 0;
  const serving = server.serve(async () => {
    running += 1;
    await release.promise;
  });
  const answers = Array.from({ length: 5 }, () => client.request("x"));
  await eventually(() => running === 5);
  release.open();
  await Promise.all(answers);
  server.close();
  await serving;
});

test("abort ends serving once the handlers in progress have ended, and leaves the server open", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const release = gate();
  const controller = new AbortController();
  let hasEnded = false;
  const serving = server.serve(async () => {
    await release.promise;
    return "finished";
  }, { signal: controller.signal }).then(() => hasEnded = true);
  const first = client.request("1");
  await eventually(() => server.stats().queued === 0);
  controller.abort(new Error("the reason is not thrown"));
  const second = client.request("2");
  // Whole turns, in which it would take the second request or end.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals([hasEnded, server.stats().queued], [false, 1]);
  release.open();
  await serving;
  assertEquals(text(await first), "finished");
  present(server.tryReceive()).reply("by hand");
  assertEquals(text(await second), "by hand");
});

test("a signal that is aborted already: nothing is served", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using _call = present(client.trySend("x"));
  await server.serve(() => "never", { signal: AbortSignal.abort() });
  assertEquals(present(server.tryReceive()).text(), "x");
});

test("close ends serving at once; handlers in progress find the server closed", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const release = gate();
  const found: unknown[] = [];
  const serving = server.serve(async (request) => {
    const view = request.bytes;
    await release.promise;
    found.push(view.length);
    try {
      request.reply("x");
    } catch (error) {
      found.push((error as { code: string }).code);
    }
  });
  const answer = doomed(client.request("x"));
  await eventually(() => server.stats().queued === 0);
  server.close();
  await serving;
  await assertRejectsCode(answer, "SERVER_DIED");
  release.open();
  await eventually(() => found.length === 2);
  assertEquals(found, [0, "CLOSED"]);
});

test("a handler may close the server", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const serving = server.serve((request) => {
    request.reply("last");
    server.close();
  });
  assertEquals(text(await client.request("x")), "last");
  await serving;
});

test("`await using` lets the handlers in progress end; `using` does not", async () => {
  using pair = openPair({ maxDeliveries: 2 });
  const { server: first, client, target } = pair;
  first.close();
  const release = gate();
  const answers: Promise<Uint8Array>[] = [];
  const draining = (async () => {
    await using server = Server.open(target);
    void server.serve(() => release.promise.then(() => "drained"));
    answers.push(client.request("1"));
    await eventually(() => server.stats().queued === 0);
  })();
  await eventually(() => answers.length === 1);
  // The server is closing by now, or still waits until the request is taken.
  release.open();
  await draining;
  assertEquals(text(await answers[0]!), "drained");
  assertEquals(client.servers, 0);

  const never = gate();
  {
    using server = Server.open(target);
    void server.serve(() => never.promise.then(() => "never"));
    answers.push(doomed(client.request("2", { maxDeliveries: 1 })));
    await eventually(() => server.stats().queued === 0);
  }
  await assertRejectsCode(answers[1]!, "SERVER_DIED");
  never.open();
});

test("several serves on one handle share the requests", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const stop = new AbortController();
  const first = server.serve(() => "served", { signal: stop.signal });
  const second = server.serve(() => "served");
  for (let round = 0; round < 10; round++) assertEquals(text(await client.request("x")), "served");
  stop.abort();
  await first;
  for (let round = 0; round < 10; round++) assertEquals(text(await client.request("x")), "served");
  server.close();
  await second;
});

test("serve refuses a concurrency that is no whole number from 1", async () => {
  using pair = openPair();
  const { server } = pair;
  for (const concurrency of [0, -1, 1.5, NaN]) {
    await assertRejects(() => server.serve(() => {}, { concurrency }), RangeError);
  }
});

test("serveSync answers what is there and counts it", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const calls = Array.from({ length: 5 }, (_, index) => present(client.trySend(`${index}`)));
  const served = server.serveSync((request) => {
    if (request.text() === "3") throw new RangeError("not three");
    return `served ${request.text()}`;
  }, { idleTimeout: 0 });
  assertEquals(served, 5);
  for (const [index, call] of calls.entries()) {
    if (index === 3) await assertRejectsCode(call.get(), "REMOTE", "not three");
    else assertEquals(text(call.getSync()), `served ${index}`);
  }
  const begin = performance.now();
  assertEquals(server.serveSync(() => {}, { idleTimeout: 20 }), 0);
  assert(performance.now() - begin >= 19);
});

test("serveSync ends when its handler closes the server", () => {
  using pair = openPair();
  const { server, client } = pair;
  const [first, second] = [present(client.trySend("1")), present(client.trySend("2"))];
  const served = server.serveSync((request) => {
    request.reply("bye");
    server.close();
  });
  assertEquals(served, 1);
  assertEquals(text(first.getSync()), "bye");
  assertEquals(second.tryGet(), null);
});

test("for await gives the requests in their order and ends when the server is closed", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const answers = ["a", "b", "c"].map((payload) => client.request(payload));
  const seen: string[] = [];
  for await (const request of server) {
    seen.push(request.text());
    request.reply(`${seen.length}`);
    if (seen.length === 3) server.close();
  }
  assertEquals(seen, ["a", "b", "c"]);
  assertEquals((await Promise.all(answers)).map(text), ["1", "2", "3"]);
});

test("for await ends when the server is closed while it waits", async () => {
  using pair = openPair();
  const { server } = pair;
  const iterating = (async () => {
    for await (const _ of server) throw new Error("no request was sent");
  })();
  setTimeout(() => server.close(), 5);
  await iterating;
});

test("break leaves the server open, and the next request in the queue", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const calls = ["a", "b", "c"].map((payload) => present(client.trySend(payload)));
  for await (const request of server) {
    request.reply();
    break;
  }
  assertEquals(server.stats().queued, 2);
  for await (const request of server) {
    assertEquals(request.text(), "b");
    request.reply();
    break;
  }
  present(server.tryReceive()).reply("c");
  assertEquals(text(calls[2]!.getSync()), "c");
});

test("two iterations of one server share the requests", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const seen: string[] = [];
  const iterate = async () => {
    for await (const request of server) {
      seen.push(request.text());
      request.reply();
    }
  };
  const iterating = [iterate(), iterate()];
  await Promise.all(Array.from({ length: 20 }, (_, index) => client.request(`${index}`)));
  assertEquals(seen.length, 20);
  assertEquals(new Set(seen).size, 20);
  server.close();
  await Promise.all(iterating);
});

test("the event loop goes on while a flood is served", async () => {
  using pair = openPair();
  const { server, client } = pair;
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const serving = server.serve((request) => request.bytes);
  const work = async () => {
    while (ticks < 20) await client.request("x");
  };
  await Promise.all(Array.from({ length: 16 }, work));
  clearInterval(timer);
  server.close();
  await serving;
});

test("a request that is kept after its answer is harmless", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const kept: ServerRequest[] = [];
  const serving = server.serve((request) => {
    kept.push(request);
    return "x";
  });
  await client.request("1".repeat(5000));
  await client.request("2".repeat(5000));
  for (const request of kept) {
    // The bytes are unspecified, but the read must not crash.
    request.text();
    request.bytes.fill(0);
    assertEquals(request.reply("again"), false);
  }
  server.close();
  await serving;
  for (const request of kept) {
    assertEquals(request.bytes.length, 0);
    assertThrowsCode(() => request.reply("x"), "CLOSED");
  }
});

test("a handler that is no function is a TypeError, or fails calls and not the server", async () => {
  using pair = openPair();
  const { server, client } = pair;
  using _call = present(client.trySend("x"));
  const handler = 5 as unknown as () => void;
  try {
    await server.serve(handler, { signal: AbortSignal.timeout(20) });
  } catch (error) {
    assert(error instanceof TypeError, String(error));
  }
  assertThrows(() => {
    if (server.serveSync(handler, { idleTimeout: 0 }) >= 0) throw new TypeError("it went on");
  }, TypeError);
});

test("close ends serving while as many handlers as allowed are in progress", async () => {
  const server = Server.anonymous();
  using client = Client.fromFd(server.fd);
  let started = 0;
  const forever = new Promise<string>(() => {});
  const serving = server.serve(() => {
    started += 1;
    return forever;
  }, { concurrency: 1 });
  const answer = doomed(client.request("x"));
  await eventually(() => started === 1);
  server.close();
  await serving;
  await assertRejectsCode(answer, "SERVER_DIED");
});
