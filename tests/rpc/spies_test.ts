/** Spies and stubs that tests place on a served object, before or after it is served. */
import { assert, assertEquals } from "@std/assert";
import { mock } from "node:test";
import { connect, raw, type RemoteError, serve } from "../../mod.ts";
import { test } from "../support/harness.ts";
import { rejection } from "../support/rpc_helper.ts";
import { transports } from "../support/sites.ts";

class Base {
  name(): string {
    return "base";
  }
}

class Service extends Base {
  prefix = "own";

  resize(width: number): string {
    return `${this.prefix} ${width}`;
  }

  arrow = (width: number): string => `${this.prefix} arrow ${width}`;
}

/** A spy, and what ends it. */
interface Placed {
  readonly count: () => number;
  restore(): void;
}

type Callable = (...args: unknown[]) => unknown;
// deno-lint-ignore no-explicit-any -- any object
type Target = any;

/** The ways in which libraries place spies. Each replaces the function by one that counts. */
const ways: [string, (object: Target, name: string, fake?: Callable) => Promise<Placed>][] = [
  ["assignment", (object, name, fake) => {
    const isOwn = Object.hasOwn(object, name);
    const before: Callable = object[name];
    let count = 0;
    object[name] = function (this: unknown, ...args: unknown[]): unknown {
      count += 1;
      return Reflect.apply(fake ?? before, this, args);
    };
    const restore = () => {
      if (isOwn) object[name] = before;
      else delete object[name];
    };
    return Promise.resolve({ count: () => count, restore });
  }],
  ["a property", (object, name, fake) => {
    const before = Object.getOwnPropertyDescriptor(object, name);
    const callee: Callable = object[name];
    let count = 0;
    const value = function (this: unknown, ...args: unknown[]): unknown {
      count += 1;
      return Reflect.apply(fake ?? callee, this, args);
    };
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
    const restore = () => {
      if (before) Object.defineProperty(object, name, before);
      else delete object[name];
    };
    return Promise.resolve({ count: () => count, restore });
  }],
  ["mock.method of node:test", (object, name, fake) => {
    const { mock: placed } = fake ? mock.method(object, name, fake) : mock.method(object, name);
    return Promise.resolve({ count: () => placed.callCount(), restore: () => placed.restore() });
  }],
];
if ("Bun" in globalThis) {
  ways.push(["spyOn of bun:test", async (object, name, fake) => {
    const module = "bun:test";
    const { spyOn } = await import(module);
    const spy = spyOn(object, name);
    if (fake) spy.mockImplementation(fake);
    return { count: () => spy.mock.calls.length, restore: () => spy.mockRestore() };
  }]);
}

for (const { title, newTarget } of transports) {
  for (const [way, place] of ways) {
    test(`${title}: a spy placed after serve sees the calls: ${way}`, async () => {
      // On the object itself, on its class, on a class above. Some libraries leave a copy of the method on
      // the object, so each place has an object of its own.
      const places: [(api: Service) => object, "resize" | "arrow" | "name", string][] = [
        [(api) => api, "resize", "own 1"],
        [(api) => api, "arrow", "own arrow 1"],
        [(api) => api, "name", "base"],
        [() => Service.prototype, "resize", "own 1"],
        [() => Base.prototype, "name", "base"],
      ];
      for (const [placeOf, name, answer] of places) {
        const target = newTarget();
        const api = new Service();
        await using service = serve(target, api);
        using remote = connect<Service>(target, { timeout: 30_000 });
        const call = () => name === "name" ? remote.name() : remote[name](1);
        assertEquals(await call(), answer);
        const spy = await place(placeOf(api), name);
        // With the object as `this`, too.
        assertEquals([await call(), await call(), spy.count()], [answer, answer, 2], name);
        spy.restore();
        assertEquals(await call(), answer, name);
        const stub = await place(placeOf(api), name, (...args) => `stubbed ${args}`);
        assert(String(await call()).startsWith("stubbed"), name);
        stub.restore();
        assertEquals(await call(), answer, name);
        void service;
      }
    });

    test(`${title}: a spy on a plain object, placed before serve and removed after: ${way}`, async () => {
      const target = newTarget();
      const api = { add: (a: number, b: number) => a + b };
      const spy = await place(api, "add");
      await using service = serve(target, api);
      using remote = connect<typeof api>(target, { timeout: 30_000 });
      assertEquals([await remote.add(1, 2), spy.count()], [3, 1]);
      spy.restore();
      const count = spy.count();
      assertEquals([await remote.add(1, 2), spy.count()], [3, count]);
      void service;
    });

    test(`${title}: a spy in the place of a raw method gets copies: ${way}`, async () => {
      const target = newTarget();
      const view = (bytes: Uint8Array) => bytes.buffer.byteLength > bytes.byteLength;
      const api = { isView: raw(view) };
      await using service = serve(target, api);
      using remote = connect<typeof api>(target, { timeout: 30_000 });
      const bytes = new Uint8Array(10_000);
      const before = await remote.isView(bytes);
      const spy = await place(api, "isView", view as Callable);
      assertEquals([await remote.isView(bytes), spy.count()], [false, 1]);
      spy.restore();
      assertEquals(await remote.isView(bytes), before);
      void service;
    });
  }

  test(`${title}: what takes the place of a method later adds no methods, and may be wrong`, async () => {
    const target = newTarget();
    const api: Record<string, unknown> = { good: () => 1, gone: () => 2, spoilt: () => 3 };
    await using service = serve(target, api);
    using remote = connect<Record<string, () => number>>(target, { timeout: 30_000 });
    api.added = () => 4;
    delete api.gone;
    api.spoilt = "text";
    assertEquals((await rejection(remote.added!()) as { code?: string }).code, "UNKNOWN_METHOD");
    for (const name of ["gone", "spoilt"]) {
      const error = await rejection<RemoteError>(remote[name]!());
      assertEquals(error.remoteName, "TypeError");
      assert(error.remoteMessage.includes(name), error.remoteMessage);
    }
    // A later getter is code of the user, which may fail.
    Object.defineProperty(api, "gone", {
      get() {
        throw new RangeError("of the getter");
      },
    });
    assertEquals((await rejection<RemoteError>(remote.gone!())).remoteName, "RangeError");
    assertEquals(await remote.good!(), 1);
    void service;
  });
}
