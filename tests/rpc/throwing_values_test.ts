/** Values whose code throws while they are read, and errors of every kind. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { connect, RemoteError, serve, TandemError } from "../../mod.ts";
import { assertRejectsCode, newTarget, runtimes, test } from "../support/harness.ts";
import { collect, rejection, startService } from "../support/rpc_helper.ts";
import { there } from "../support/other_realm.ts";
import type { Api } from "../fixtures/typed.ts";
import { transports } from "../support/sites.ts";

/** Ways in which code of the user throws while a value is read. */
const troubles: [string, (thrown: unknown) => unknown][] = [
  ["a getter", (thrown) => ({
    get a() {
      throw thrown;
    },
  })],
  ["a getter deep inside", (thrown) => [
    new Map([["k", {
      get a() {
        throw thrown;
      },
    }]]),
  ]],
  ["an item", (thrown) =>
    Object.defineProperty([1, 2, 3], 1, {
      get() {
        throw thrown;
      },
    })],
  ["an item of a long array", (thrown) =>
    Object.defineProperty(new Array(500).fill(1), 250, {
      get() {
        throw thrown;
      },
    })],
  ["a trap", (thrown) => [
    new Proxy({ a: 1 }, {
      ownKeys() {
        throw thrown;
      },
    }),
  ]],
  ["a trap for values", (thrown) => [
    new Proxy({ a: 1 }, {
      get() {
        throw thrown;
      },
    }),
  ]],
  ["a prototype", (thrown) =>
    Object.create(
      new Proxy({}, {
        has() {
          throw thrown;
        },
      }),
    )],
];

for (const transport of transports) {
  test(`${transport.title}: a getter of a result that throws: REMOTE`, async () => {
    const target = transport.newTarget();
    const outcomes: string[] = [];
    const api = {
      now: (index: number) => troubles[index]![1](new RangeError("mine")),
      later: async (index: number) => {
        await Promise.resolve();
        return troubles[index]![1](new RangeError("mine"));
      },
      *items(index: number) {
        yield 1;
        yield troubles[index]![1](new RangeError("mine"));
      },
      other: (index: number) =>
        troubles[0]![1]([undefined, "a text", new TandemError("CLOSED", "mine")][index]),
      fine: () => 1,
    };
    await using service = serve(target, api, {
      onCall: ({ outcome }) => void outcomes.push(outcome),
    });
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (const [index, [name]] of troubles.entries()) {
      for (
        const promise of [remote.now(index), remote.later(index), collect(remote.items(index))]
      ) {
        const error = await rejection<RemoteError>(promise);
        assertInstanceOf(error, RemoteError, name);
        assertEquals([error.code, error.remoteName, error.remoteMessage], [
          "REMOTE",
          "RangeError",
          "mine",
        ]);
      }
    }
    assertEquals((await rejection<RemoteError>(remote.other(0))).code, "REMOTE");
    const texts = await rejection<RemoteError>(remote.other(1));
    assertEquals([texts.code, texts.remoteMessage], ["REMOTE", "a text"]);
    // Not mistaken for an error of the package itself.
    const closed = await rejection<RemoteError>(remote.other(2));
    assertEquals([closed.code, closed.remoteName], ["REMOTE", "TandemError"]);
    assertEquals(await remote.fine(), 1);
    assertEquals(outcomes.filter((outcome) => outcome === "CORRUPT"), []);
    service.unlink();
  });
}

for (const transport of transports) {
  test(`${transport.title}: a getter of an argument that throws: its error as it is`, async () => {
    const target = transport.newTarget();
    const api = { take: (_value: unknown) => 1 };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (const [name, make] of troubles) {
      const thrown = new RangeError("mine");
      assert(await rejection(remote.take(make(thrown))) === thrown, name);
    }
    assertEquals(await remote.take({}), 1);
    service.unlink();
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: results that cannot be sent or that throw: NOT_SERIALIZABLE or REMOTE`, async () => {
    const target = newTarget();
    await startService(runtime, target);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const getter = await rejection<RemoteError>(remote.troubled("getter"));
    assertEquals([getter.code, getter.remoteMessage], ["REMOTE", "of a getter"]);
    const trap = await rejection<RemoteError>(remote.troubled("trap"));
    assertEquals([trap.code, trap.remoteMessage], ["REMOTE", "of a trap"]);
    await assertRejectsCode(remote.troubled("proxy"), "NOT_SERIALIZABLE", "a[0]: it is a Proxy");
    await assertRejectsCode(remote.troubled("revoked"), "NOT_SERIALIZABLE", "it is a Proxy");
    await assertRejectsCode(remote.troubled("detached"), "NOT_SERIALIZABLE", "detached");
    await assertRejectsCode(remote.troubled("intl"), "NOT_SERIALIZABLE", "an Intl.Collator");
    const error = await rejection(remote.troubled("deep"));
    assertStringIncludes(error.message, "nested deeper than 1000");
    assert(error.message.length < 300, error.message);
    assertEquals(await remote.add(1, 2), 3);
  });
}

for (const transport of transports) {
  test(`${transport.title}: thrown errors of another realm, of any class and behind a Proxy arrive with name and message`, async () => {
    const target = transport.newTarget();
    // As classes were written before there was `class`.
    function Old(this: Error, message: string): void {
      this.message = message;
    }
    Old.prototype = Object.create(Error.prototype, { name: { value: "Old" } });
    const made = new (Old as unknown as new (message: string) => Error)("of old");
    const errors: Record<string, unknown> = {
      realm: there("new RangeError('of a realm')"),
      proxied: new Proxy(new RangeError("behind a Proxy"), {}),
      old: made,
      dom: new DOMException("of the Web", "AbortError"),
    };
    const api = {
      fail: (name: string) => {
        throw errors[name];
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const told = async (name: string) => {
      const error = await rejection<RemoteError>(remote.fail(name));
      assertInstanceOf(error, RemoteError, name);
      return [error.remoteName, error.remoteMessage];
    };
    assertEquals(await told("realm"), ["RangeError", "of a realm"]);
    assertEquals(await told("proxied"), ["RangeError", "behind a Proxy"]);
    assertEquals(await told("old"), ["Old", "of old"]);
    assertEquals(await told("dom"), ["AbortError", "of the Web"]);
    service.unlink();
  });
}
