/** Errors of handlers, as their clients get them. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { type Call, RemoteError, TandemError } from "../../mod.ts";
import { encodeError } from "../../src/channel/error_wire.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  newTarget,
  pairs,
  present,
  startClient,
  startServer,
  test,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

/** The client's error when a server fails its request with `error`. */
function failure(error: unknown, maxResponseBytes?: number): RemoteError {
  using pair = openPair(maxResponseBytes === undefined ? {} : { maxResponseBytes });
  const { server, client } = pair;
  const call = present(client.trySend("x"));
  assertEquals(present(server.tryReceive()).fail(error), true);
  return caught(call);
}

function caught(call: Call): RemoteError {
  const error = assertThrowsCode(() => call.getSync(), "REMOTE");
  assertInstanceOf(error, RemoteError);
  return error;
}

class Refusal extends Error {
  override readonly name = "Refusal";
  readonly limit: number;
  readonly details: { reasons: string[]; at: null } = { reasons: ["too", "much"], at: null };
  constructor(message: string, limit: number) {
    super(message);
    this.limit = limit;
  }
}

test("name, message, stack and properties arrive", () => {
  const thrown = new Refusal("not more than ten", 10);
  const error = failure(thrown);
  assertInstanceOf(error, TandemError);
  assertEquals(error.code, "REMOTE");
  assertEquals(error.name, "RemoteError");
  assertEquals(error.remoteName, "Refusal");
  assertEquals(error.remoteMessage, "not more than ten");
  assertEquals(error.remoteStack, thrown.stack);
  assertEquals(error.remoteProperties, {
    limit: 10,
    details: { reasons: ["too", "much"], at: null },
  });
  assertStringIncludes(error.message, "Refusal: not more than ten");
  assertStringIncludes(error.stack ?? "", "remote_error_test", "the stack is the caller's own");
});

test("built-in errors keep their names", () => {
  const errors = [
    new TypeError("a"),
    new RangeError("b"),
    new SyntaxError("c"),
    new DOMException("d", "AbortError"),
  ];
  const found = errors.map((error) => {
    const { remoteName, remoteMessage } = failure(error);
    return `${remoteName}: ${remoteMessage}`;
  });
  assertEquals(found, ["TypeError: a", "RangeError: b", "SyntaxError: c", "AbortError: d"]);
});

test("the cause arrives, and the cause's cause", () => {
  const error = failure(
    new Error("outer", { cause: new RangeError("inner", { cause: new TypeError("innermost") }) }),
  );
  assertEquals(error.remoteMessage, "outer");
  assertInstanceOf(error.cause, Error);
  assertStringIncludes(String(error.cause.message), "inner");
  assertInstanceOf(error.cause.cause, Error);
  assertStringIncludes(String(error.cause.cause.message), "innermost");
  assertEquals("cause" in error.remoteProperties, false);
  assertEquals(failure(new Error("outer", { cause: "just text" })).cause, "just text");
  assertEquals(failure(new Error("outer")).cause, undefined);
});

test("a handler may throw a value that is no error", () => {
  const thrown: [unknown, string][] = [
    ["a text", "a text"],
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
    [5n, "5"],
    [Symbol("s"), "Symbol(s)"],
    [{ toString: () => "an object" }, "an object"],
  ];
  for (const [value, message] of thrown) {
    const error = failure(value);
    assertStringIncludes(error.remoteMessage, message);
    assert(error.remoteName.length > 0);
  }
});

test("errors with hostile properties still arrive", () => {
  const hostile = new Error("hostile");
  Object.defineProperty(hostile, "trap", {
    enumerable: true,
    get() {
      throw new Error("not this one");
    },
  });
  Object.assign(hostile, { fine: 1 });
  assertEquals(failure(hostile).remoteMessage, "hostile");

  const cyclic = Object.assign(new Error("cyclic"), { self: null as unknown, big: 5n, fine: 1 });
  cyclic.self = cyclic;
  const found = failure(cyclic);
  assertEquals(found.remoteMessage, "cyclic");
  assertEquals(found.remoteProperties["fine"], 1);

  const own = new Error("its own cause");
  own.cause = own;
  assertEquals(failure(own).remoteMessage, "its own cause");

  const unnamed = new Error("odd name");
  Object.defineProperty(unnamed, "name", { value: 5 });
  assertEquals(failure(unnamed).remoteMessage, "odd name");

  const thrower = {
    toString() {
      throw new Error("no text at all");
    },
  };
  assert(failure(thrower).remoteMessage.length > 0);
});

test("errors longer than their space are cut, never lost", () => {
  for (const maxResponseBytes of [0, 100, 1024, 5000]) {
    const plain = failure(new RangeError(`begins here ${"x".repeat(100_000)}`), maxResponseBytes);
    assertEquals(plain.remoteName, "RangeError");
    assertStringIncludes(plain.remoteMessage, "begins here");
    assert(plain.remoteMessage.length > 100, `${plain.remoteMessage.length} characters are left`);

    const wide = failure(new RangeError('👋🏽é\u0000\\"'.repeat(50_000)), maxResponseBytes);
    assertStringIncludes(wide.remoteMessage, "👋🏽é");

    const long = Object.assign(new Error("short"), { long: "y".repeat(100_000) });
    assertEquals(failure(long, maxResponseBytes).remoteMessage, "short");

    const name = failure(Object.assign(new Error("m"), { name: "N".repeat(100_000) }), 0);
    assertStringIncludes(name.remoteName, "NNN");
  }
  const whole = failure(new Error("z".repeat(3000)), 100_000);
  assertEquals(whole.remoteMessage, "z".repeat(3000), "what fits is not cut");
});

test("an error is no answer: view, ready and get throw it", async () => {
  using pair = openPair();
  const { server, client } = pair;
  const uses: ((call: Call) => unknown)[] = [
    (call) => call.tryGet(),
    (call) => call.getSync(),
    (call) => call.get(),
    (call) => call.readySync(),
    (call) => call.ready(),
    (call) => call.view(),
    (call) => call.tryGet({ into: new Uint8Array(1) }),
    (call) => call.getSync({ into: new Uint8Array(1) }),
    (call) => call.get({ into: new Uint8Array(1) }),
  ];
  for (const [index, use] of uses.entries()) {
    const call = present(client.trySend("x"));
    present(server.tryReceive()).fail(new RangeError(`number ${index}`));
    const promise = (async () => await use(call))();
    await assertRejectsCode(promise, "REMOTE", `RangeError: number ${index}`);
    call.release();
  }
  assertEquals([client.pending, client.stats().inFlight], [0, 0]);
});

test("an error frees its slot", async () => {
  using pair = openPair({ slots: 1 });
  const { server, client } = pair;
  const serving = server.serve(() => {
    throw new Error("always");
  });
  for (let round = 0; round < 20; round++) await assertRejectsCode(client.request("x"), "REMOTE");
  assertEquals(server.stats().failures, 20);
  server.close();
  await serving;
});

for (const { server, client, title } of pairs) {
  test(`${title}: the error of a handler reaches clients of all forms`, async () => {
    for (const form of ["serve", "sync"] as const) {
      const target = newTarget();
      const serving = await startServer(server, target, form);
      for (const clientForm of ["promise", "sync", "try"] as const) {
        const calling = await startClient(client, target, clientForm);
        assertEquals(await calling.ask({ op: "request", payload: "fail" }), {
          name: "RemoteError",
          code: "REMOTE",
          message: "RangeError: as it was asked to",
        });
      }
      assert(serving.isRunning);
    }
  });
}

test("an error is cut to any length, with any characters", () => {
  for (const name of ["E", "\u{1f5ff}".repeat(100), "\0".repeat(100)]) {
    for (const message of ["", "x", "\u{1f5ff}".repeat(100)]) {
      const error = Object.assign(new Error(message), { name });
      for (const limit of [120, 1024]) {
        const bytes = encodeError(error, limit);
        assert(bytes.byteLength <= limit, `${bytes.byteLength} bytes for ${limit}`);
        const { name } = JSON.parse(new TextDecoder().decode(bytes));
        assertEquals(typeof name, "string");
      }
    }
  }
});
