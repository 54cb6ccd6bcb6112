/** Interfaces: what a service offers, in which version, and what a remote looks like. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Client, connect, type ConnectOptions, serve, withOptions } from "../../mod.ts";
import { Kind, wireVersion } from "../../src/rpc/message.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  newTarget,
  runtimes,
  test,
} from "../support/harness.ts";
import { typed } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

for (const site of sites) {
  test(`${site.title}: a different version of the interface: MISMATCH with both versions`, async () => {
    const target = site.newTarget();
    await site.start("typed.ts", target, { version: "2" });
    const call = (options: ConnectOptions) => {
      const remote = connect<Api>(target, options);
      return remote.add(1, 2).finally(() => remote[Symbol.dispose]());
    };
    assertEquals(await call({ version: "2" }), 3);
    assertEquals(await call({}), 3);
    await assertRejectsCode(call({ version: "1" }), "MISMATCH", '"1"', '"2"');
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: methods that were not offered: UNKNOWN_METHOD`, async () => {
    using there = await typed(runtime);
    const { service, target } = there;
    // Remotes refuse these names themselves, so the test writes the requests.
    using client = Client.open(target);
    const names = [
      "constructor",
      "toString",
      "__proto__",
      "hasOwnProperty",
      "__defineGetter__",
      "valueOf",
      "then",
      "secret",
      "danger",
      "call",
      "apply",
      "",
      "no such method",
      "#count",
      "Symbol(Symbol.asyncDispose)",
    ];
    for (const name of names) {
      const text = new TextEncoder().encode(name);
      const message = Uint8Array.of(
        wireVersion,
        Kind.call,
        0,
        0,
        8 + 2 + text.length + 1,
        0,
        0,
        0,
        0x78,
        text.length,
        ...text,
        0x80,
      );
      const answer = await client.request(message);
      assertEquals(answer[1], 5, `${JSON.stringify(name)} is refused`);
      assert(new TextDecoder().decode(answer).includes("UNKNOWN_METHOD"), name);
    }
    // No getter has run.
    service.send("stop");
    await service.expect("stopped");
  });
}

for (const transport of transports) {
  test(`${transport.title}: a bare function is an interface`, async () => {
    const target = transport.newTarget();
    await using service = serve(target, (name: string) => `Hello, ${name}!`);
    using greet = connect<(name: string) => string>(target);
    assertEquals(await greet("you"), "Hello, you!");
    using other = connect<Api>(target);
    await assertRejectsCode(other.add(1, 2), "UNKNOWN_METHOD", "bare function");
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: a remote looks neither like a promise nor like an object with properties`, async () => {
    using remote = connect<Api>(transport.newTarget());
    const loose = remote as unknown as Record<string | symbol, unknown>;
    for (const name of ["then", "constructor", "__proto__", "toJSON"]) {
      assertEquals(loose[name], undefined, name);
    }
    assertEquals(loose[Symbol.iterator], undefined);
    assertEquals(Object.keys(loose), []);
    assert(remote.add === remote.add);
    // So it can be awaited, and returned by an async function.
    const same = await (async () => await remote)();
    assert(same === remote);
    assertThrows(() => {
      "use strict";
      loose["add"] = 1;
    }, TypeError);
  });
}

for (const transport of transports) {
  test(`${transport.title}: a method called \`name\` or \`length\` is a method`, async () => {
    const target = transport.newTarget();
    const api = { name: () => "n", length: () => 7, call: () => "c", bind: () => "b" };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    assertEquals(
      [await remote.name(), await remote.length(), await remote.call(), await remote.bind()],
      ["n", 7, "c", "b"],
    );
    void service;
  });
}

test("serve and connect refuse interfaces without methods, and wrong options", () => {
  const target = newTarget();
  for (const api of [{}, { a: 1 }, null, 7, Object.create(null)]) {
    assertThrows(() => serve(target, api as object), TypeError, "methods");
  }
  const api = { a: () => {} };
  assertThrows(() => serve(target, api, { concurrency: 0 }), RangeError);
  assertThrows(() => serve(target, api, { maxMessageBytes: 2 ** 31 }), RangeError);
  assertThrows(() => serve(target, api, { version: 1 as unknown as string }), TypeError);
  assertThrows(
    () => serve(target, api, { errors: [Date as unknown as ErrorConstructor] }),
    TypeError,
  );
  assertThrows(() => connect(7 as unknown as string), TypeError);
  assertThrows(() => connect(target, { timeout: -1 }), RangeError);
  using remote = connect<typeof api>(target);
  assertThrows(() => withOptions(remote, { timeout: NaN }), RangeError);
  assertThrows(() => withOptions(remote, { retry: { attempts: 0 } }), RangeError);
  assertThrows(() => withOptions({ [Symbol.dispose]() {} }, {}), TypeError);
  // Nothing of it has made a channel.
  assertThrowsCode(() => Client.open(target), "NOT_FOUND");
});
