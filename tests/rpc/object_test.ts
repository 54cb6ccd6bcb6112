/** Code that inspects a remote makes no call, and causes no unhandled rejection. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { format, inspect, types } from "node:util";
import { connect, serve, Service } from "../../mod.ts";
import { newTarget, sleep, test } from "../support/harness.ts";
import { assertRejectsCode } from "../support/harness.ts";
import { transports } from "../support/sites.ts";

interface Loose extends Disposable {
  [name: PropertyKey]: unknown;
}

/** Operations of code that prints, compares, copies or awaits values. */
const looks: Readonly<Record<string, (remote: Loose) => unknown>> = {
  "JSON.stringify": (remote) => JSON.stringify(remote),
  "JSON.stringify of what has it": (remote) => JSON.stringify({ remote, list: [remote] }),
  "a template": (remote) => `${remote}`,
  "String": (remote) => String(remote),
  "a sum": (remote) => (remote as unknown as string) + "",
  "a number": (remote) => Number(remote),
  "a comparison": (remote) => (remote as unknown as number) < 1,
  "toString()": (remote) => (remote as object).toString(),
  "toLocaleString()": (remote) => (remote as object).toLocaleString(),
  "valueOf()": (remote) => (remote as object).valueOf(),
  "hasOwnProperty()": (remote) => Object.prototype.hasOwnProperty.call(remote, "add"),
  "its own hasOwnProperty()": (remote) => (remote["hasOwnProperty"] as (x: string) => boolean)("x"),
  "Object.prototype.toString": (remote) => Object.prototype.toString.call(remote),
  "inspect": (remote) => inspect(remote),
  "inspect of what has it": (remote) => inspect({ remote, list: [remote] }, { depth: null }),
  "inspect with getters": (remote) => inspect(remote, { showHidden: true, getters: true }),
  "inspect of the Proxy": (remote) => inspect(remote, { showProxy: true }),
  "format": (remote) => format("%s %o %O %j %d", remote, remote, remote, remote, remote),
  "keys": (remote) => Object.keys(remote),
  "entries": (remote) => Object.entries(remote),
  "own keys": (remote) => Reflect.ownKeys(remote),
  "for in": (remote) => {
    for (const name in remote) void name;
  },
  "spread": (remote) => ({ ...remote }),
  "assign": (remote) => Object.assign({}, remote),
  "descriptors": (remote) => Object.getOwnPropertyDescriptors(remote),
  "its prototype": (remote) => Object.getPrototypeOf(remote),
  "instanceof": (remote) => remote instanceof Promise || remote instanceof Error,
  "types": (remote) =>
    Object.values(types).map((is) => (is as (value: unknown) => boolean)(remote)),
  "typeof": (remote) => typeof remote,
  "what frameworks look for": (remote) =>
    [
      "$$typeof",
      "nodeType",
      "tagName",
      "@@__IMMUTABLE_ITERABLE__@@",
      "_isMockFunction",
      "asymmetricMatch",
    ]
      .map((name) => remote[name]),
  "symbols": (remote) =>
    Object.getOwnPropertyNames(Symbol).map((name) => {
      const symbol: unknown = Reflect.get(Symbol, name);
      return typeof symbol === "symbol" ? remote[symbol] : undefined;
    }),
  "await": async (remote) => await remote,
  "Promise.resolve": (remote) => Promise.resolve(remote),
  "Promise.all": (remote) => Promise.all([remote]),
  "a return value of an async function": (remote) => (async () => await Promise.resolve(remote))(),
  "calls that printers make": (remote) => {
    for (const name of ["then", "toJSON", "inspect", "asymmetricMatch"]) {
      const method = remote[name];
      if (typeof method === "function") Reflect.apply(method, remote, []);
      assert(!(name in remote), name);
    }
  },
  "equality": (remote) => {
    assertThrows(() => assertEquals(remote as unknown, {}));
    assertEquals(remote, remote);
    assertEquals({ remote }, { remote });
  },
};

for (const [name, look] of Object.entries(looks)) {
  test(`a remote is harmless: ${name}`, async () => {
    const target = newTarget();
    const called: string[] = [];
    const note = (name: string) => () => void called.push(name);
    // Methods with these names are never offered.
    const api = {
      add: (a: number, b: number) => a + b,
      ...Object.fromEntries(
        ["toJSON", "then", "inspect", "toString", "valueOf", "asymmetricMatch"]
          .map((name) => [name, note(name)]),
      ),
    };
    const onCall = ({ method }: { method: string }) => void called.push(method);
    await using service = serve(target, api, { onCall });
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    // Never connected: a call would wait, and then reject.
    using absent = connect<typeof api>(newTarget(), { timeout: 5 });
    for (const looked of [remote, absent] as unknown[]) await look(looked as Loose);
    assertEquals(await remote.add(1, 2), 3);
    await sleep(10);
    assertEquals(called, ["add"]);
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: a remote says what it is`, async () => {
    const target = transport.newTarget();
    using remote = connect<() => void>(target);
    const text = `[Remote ${target}]`;
    assertEquals([`${remote}`, String(remote), remote.toString(), inspect(remote)], [
      text,
      text,
      text,
      text,
    ]);
    assertEquals(JSON.stringify({ remote, list: [remote] }), '{"list":[null]}');
    assertEquals(Object.prototype.toString.call(remote), "[object Remote]");
    assert(Number.isNaN(Number(remote)));
    assertThrows(() => structuredClone(remote), DOMException);
    assert(await remote === remote);
  });
}

for (const transport of transports) {
  test(`${transport.title}: toJSON and inspect are neither offered nor called`, async () => {
    const target = transport.newTarget();
    const api = { ping: () => "pong", toJSON: () => "no", inspect: () => "no" };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    assertEquals(await remote.ping(), "pong");
    assertThrows(
      () => serve(transport.newTarget(), { toJSON: () => "no" }),
      TypeError,
      "Cannot serve",
    );
    const loose = remote as unknown as Record<string, () => Promise<unknown>>;
    await assertRejectsCode(loose["toJson"]!(), "UNKNOWN_METHOD", "the service offers ping");
    void service;
  });
}

test("services: the constructor is private, and names what makes a service", () => {
  const Constructor = Service as unknown as new (...values: unknown[]) => Service;
  for (const values of [[], [{}], [null, new Map(), {}]]) {
    assertThrows(() => new Constructor(...values), TypeError, "use serve()");
  }
});
