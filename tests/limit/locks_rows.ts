/**
 * What the Web Locks specification says, one row for each behaviour. The rows run over the package's `locks` and over the
 * runtime's own `navigator.locks`, where there is one: so they test themselves.
 *
 * The table in docs/guide/web-locks.md has a line for each row.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { eventually } from "../support/harness.ts";
import {
  forgetLock,
  hold,
  isFree,
  newLockName,
  stateOf,
  type WebLock,
  type WebLocks,
} from "../support/locks.ts";

/** A behaviour, and how it is tested. */
export interface Row {
  readonly behavior: string;
  run(manager: WebLocks): Promise<void>;
}

export const rows: readonly Row[] = [
  {
    behavior: "A request needs a name and a callback.",
    async run(manager) {
      const name = newLockName();
      for (const args of [[], [name], [name, {}], [name, "callback"], [name, {}, undefined]]) {
        await assertRejects(() => manager.request(...args), TypeError);
      }
    },
  },
  {
    behavior: "A wrong argument rejects the promise; the method throws nothing.",
    async run(manager) {
      let promise: Promise<unknown> | undefined;
      const boom = new RangeError("thrown by a getter");
      const options = {
        get mode(): string {
          throw boom;
        },
      };
      promise = manager.request(newLockName(), options, unreached);
      assertStrictEquals(await errorOf(promise), boom);
      promise = manager.request(Symbol("name"), unreached);
      await assertRejects(() => promise!, TypeError);
    },
  },
  {
    behavior: "The name becomes a string.",
    async run(manager) {
      const name = newLockName();
      const given = { toString: () => name };
      assertEquals(await manager.request(given, ({ name }: WebLock) => name), name);
    },
  },
  {
    behavior: "Any other string is a name; different strings are different locks.",
    async run(manager) {
      const start = newLockName();
      const ends = [
        "",
        "\0",
        "\ud800",
        "\udc00",
        "\udc00\ud800",
        "\ufffd",
        "\uffff",
        "/",
        "..",
        " ",
        "é",
        "e\u0301",
      ];
      const long = "x".repeat(1000);
      const names = [...ends, "_", "_20_", long, `${long}y`].map((end) => start + end);
      for (const name of names) forgetLock(name);
      const held = names.map((name) => hold(manager, name));
      const found = await Promise.all(held.map(async ({ granted }) => (await granted)?.name));
      assertEquals(found, names);
      for (const one of held) one.release();
      await Promise.all(held.map(({ result }) => result));
    },
  },
  {
    behavior: 'Names that begin with "-" are reserved.',
    async run(manager) {
      await assertRefused(manager.request(`-${newLockName()}`, unreached), "NotSupportedError");
      const name = `${newLockName()}-`;
      forgetLock(name);
      assertEquals(await isFree(manager, name), true);
    },
  },
  {
    behavior: 'The mode is "exclusive" or "shared"; "exclusive" is the default.',
    async run(manager) {
      const name = newLockName();
      for (const mode of ["both", "", null, 1, "Exclusive"]) {
        await assertRejects(() => manager.request(name, { mode }, unreached), TypeError);
      }
      const modeOf = (lock: WebLock) => lock.mode;
      assertEquals(await manager.request(name, modeOf), "exclusive");
      assertEquals(await manager.request(name, { mode: undefined }, modeOf), "exclusive");
      assertEquals(await manager.request(name, { mode: "exclusive" }, modeOf), "exclusive");
      assertEquals(await manager.request(name, { mode: "shared" }, modeOf), "shared");
    },
  },
  {
    behavior: "Options may be undefined or null; another value that is no object is refused.",
    async run(manager) {
      const name = newLockName();
      for (const options of [undefined, null, {}, () => {}]) {
        assertEquals(await manager.request(name, options, () => 1), 1);
      }
      for (const options of ["shared", 1, true]) {
        await assertRejects(() => manager.request(name, options, unreached), TypeError);
      }
    },
  },
  {
    behavior: "The flags become booleans.",
    async run(manager) {
      const name = newLockName();
      const held = hold(manager, name);
      await held.granted;
      const got = await manager.request(name, { ifAvailable: 1, steal: "" }, isNull);
      assertEquals(got, true);
      held.release();
      await held.result;
    },
  },
  {
    behavior: "The signal has to be an AbortSignal.",
    async run(manager) {
      for (const signal of ["abort", 1, false, {}, Symbol(), () => {}, null]) {
        await assertRejects(() => manager.request(newLockName(), { signal }, unreached), TypeError);
      }
    },
  },
  {
    behavior: "`steal` and `ifAvailable` exclude each other.",
    async run(manager) {
      const options = { steal: true, ifAvailable: true };
      await assertRefused(manager.request(newLockName(), options, unreached), "NotSupportedError");
    },
  },
  {
    behavior: "Only an exclusive request can steal.",
    async run(manager) {
      const options = { steal: true, mode: "shared" };
      await assertRefused(manager.request(newLockName(), options, unreached), "NotSupportedError");
    },
  },
  {
    behavior: "A `signal` excludes `steal` and `ifAvailable`.",
    async run(manager) {
      const { signal } = new AbortController();
      for (const flag of ["steal", "ifAvailable"]) {
        const options = { signal, [flag]: true };
        await assertRefused(
          manager.request(newLockName(), options, unreached),
          "NotSupportedError",
        );
        assertEquals(await manager.request(newLockName(), { signal, [flag]: false }, () => 1), 1);
      }
    },
  },
  {
    behavior: "The callback gets a lock with the name and the mode.",
    async run(manager) {
      const name = newLockName();
      for (const mode of ["exclusive", "shared"]) {
        const lock = await manager.request(name, { mode }, (lock: WebLock) => lock);
        assertEquals([lock.name, lock.mode], [name, mode]);
      }
    },
  },
  {
    behavior: "The callback never runs within the call of `request`.",
    async run(manager) {
      for (const options of [{}, { ifAvailable: true }, { steal: true }, { mode: "shared" }]) {
        let hasReturned = false;
        const promise = manager.request(newLockName(), options, () => hasReturned);
        hasReturned = true;
        assertEquals(await promise, true);
      }
    },
  },
  {
    behavior: "The promise resolves to what the callback returns, or its promise resolves to.",
    async run(manager) {
      const name = newLockName();
      const object = {};
      const thenable = { then: (resolve: (value: unknown) => void) => resolve(object) };
      for (const result of [object, Promise.resolve(object), thenable]) {
        assertStrictEquals(await manager.request(name, () => result), object);
      }
      assertEquals(await manager.request(name, () => {}), undefined);
      assertEquals(await manager.request(name, () => null), null);
    },
  },
  {
    behavior: "The promise rejects with what the callback throws, or its promise rejects with.",
    async run(manager) {
      const name = newLockName();
      const boom = new Error("of the callback");
      const failing = () => {
        throw boom;
      };
      assertStrictEquals(await errorOf(manager.request(name, failing)), boom);
      assertStrictEquals(await errorOf(manager.request(name, () => Promise.reject(boom))), boom);
      const thenable = {
        get then(): unknown {
          throw boom;
        },
      };
      assertStrictEquals(await errorOf(manager.request(name, () => thenable)), boom);
      assertEquals(await isFree(manager, name), true);
    },
  },
  {
    behavior: "The lock is free when the promise settles, whichever way.",
    async run(manager) {
      const name = newLockName();
      await manager.request(name, () => {});
      assertEquals(await isFree(manager, name), true);
      await manager.request(name, () => Promise.reject(new Error())).catch(() => {});
      assertEquals(await isFree(manager, name), true);
    },
  },
  {
    behavior: "The lock is held until the callback's promise settles.",
    async run(manager) {
      const name = newLockName();
      const first = hold(manager, name);
      await first.granted;
      const second = hold(manager, name);
      assertEquals(await isFree(manager, name), false);
      assertEquals(second.isGranted, false);
      first.release("done");
      assertEquals(await first.result, "done");
      await second.granted;
      second.fail(new Error("undone"));
      assertEquals(String(await errorOf(second.result)), "Error: undone");
      assertEquals(await isFree(manager, name), true);
    },
  },
  {
    behavior: "A lock is not reentrant: its holder, too, has to wait for it.",
    async run(manager) {
      const name = newLockName();
      let inner: Promise<unknown> | undefined;
      let isInside = false;
      await manager.request(name, async () => {
        isInside = true;
        inner = manager.request(name, () => isInside);
        assertEquals(await isFree(manager, name), false);
        isInside = false;
      });
      assertEquals(await inner, false);
    },
  },
  {
    behavior: "Exclusive requests get the lock one at a time, in the order of the calls.",
    async run(manager) {
      const name = newLockName();
      const order: number[] = [];
      let inside = 0;
      const requests = Array.from({ length: 5 }, (_, index) =>
        manager.request(name, async () => {
          assertEquals(++inside, 1);
          order.push(index);
          await Promise.resolve();
          inside--;
        }));
      await Promise.all(requests);
      assertEquals(order, [0, 1, 2, 3, 4]);
    },
  },
  {
    behavior: "Locks of different names do not wait for each other.",
    async run(manager) {
      const outer = newLockName();
      const order: string[] = [];
      let blocked: Promise<unknown> | undefined;
      await manager.request(outer, async () => {
        blocked = manager.request(outer, () => order.push("same name"));
        await manager.request(newLockName(), () => order.push("other name"));
      });
      await blocked;
      assertEquals(order, ["other name", "same name"]);
    },
  },
  {
    behavior: "Shared requests hold the lock together.",
    async run(manager) {
      const name = newLockName();
      const sharers = [1, 2, 3].map(() => hold(manager, name, { mode: "shared" }));
      await Promise.all(sharers.map(({ granted }) => granted));
      assertEquals(await isFree(manager, name), false);
      assertEquals(await isFree(manager, name, "shared"), true);
      for (const sharer of sharers) sharer.release();
      await Promise.all(sharers.map(({ result }) => result));
    },
  },
  {
    behavior: "An exclusive request waits for all that share the lock.",
    async run(manager) {
      const name = newLockName();
      const sharers = [1, 2].map(() => hold(manager, name, { mode: "shared" }));
      await Promise.all(sharers.map(({ granted }) => granted));
      const alone = hold(manager, name);
      sharers[0]!.release();
      await sharers[0]!.result;
      await eventually(async () => (await stateOf(manager, name)).held.length === 1);
      assertEquals(alone.isGranted, false);
      sharers[1]!.release();
      await alone.granted;
      alone.release();
      await alone.result;
    },
  },
  {
    behavior: "An exclusive request that waits keeps later shared ones waiting.",
    async run(manager) {
      const name = newLockName();
      const sharer = hold(manager, name, { mode: "shared" });
      await sharer.granted;
      const alone = hold(manager, name);
      const later = hold(manager, name, { mode: "shared" });
      assertEquals(await stateOf(manager, name), {
        held: ["shared"],
        pending: ["exclusive", "shared"],
      });
      sharer.release();
      await alone.granted;
      assertEquals(later.isGranted, false);
      alone.release();
      await later.granted;
      later.release();
      await later.result;
    },
  },
  {
    behavior: "Shared requests that wait one after the other get the lock together.",
    async run(manager) {
      const name = newLockName();
      const alone = hold(manager, name);
      await alone.granted;
      const sharers = [1, 2, 3].map(() => hold(manager, name, { mode: "shared" }));
      const next = hold(manager, name);
      alone.release();
      await Promise.all(sharers.map(({ granted }) => granted));
      assertEquals(next.isGranted, false);
      for (const sharer of sharers) sharer.release();
      await next.granted;
      next.release();
      await next.result;
    },
  },
  {
    behavior: "`ifAvailable` gets a lock that is free.",
    async run(manager) {
      const name = newLockName();
      assertEquals(await isFree(manager, name), true);
      assertEquals(await isFree(manager, name, "shared"), true);
    },
  },
  {
    behavior:
      "`ifAvailable` calls the callback with null if the lock is held, and resolves to its result.",
    async run(manager) {
      const name = newLockName();
      const held = hold(manager, name);
      await held.granted;
      const options = { ifAvailable: true };
      assertEquals(await manager.request(name, options, isNull), true);
      assertEquals(await manager.request(name, { ...options, mode: "shared" }, isNull), true);
      const boom = new Error("without the lock");
      const failing = manager.request(name, options, () => {
        throw boom;
      });
      assertStrictEquals(await errorOf(failing), boom);
      held.release();
      await held.result;
    },
  },
  {
    behavior: "A callback that got null holds nothing.",
    async run(manager) {
      const name = newLockName();
      const held = hold(manager, name);
      await held.granted;
      const without = hold(manager, name, { ifAvailable: true });
      assertEquals(await without.granted, null);
      held.release();
      await held.result;
      assertEquals(await isFree(manager, name), true);
      without.release();
      await without.result;
    },
  },
  {
    behavior: "`ifAvailable` overtakes no request that waits.",
    async run(manager) {
      const name = newLockName();
      const sharer = hold(manager, name, { mode: "shared" });
      await sharer.granted;
      assertEquals(await isFree(manager, name, "shared"), true);
      const alone = hold(manager, name);
      assertEquals(await isFree(manager, name, "shared"), false);
      sharer.release();
      await alone.granted;
      alone.release();
      await alone.result;
    },
  },
  {
    behavior: "A signal that has aborted rejects the request with its reason.",
    async run(manager) {
      const name = newLockName();
      const reason = { any: "value" };
      const aborted = AbortSignal.abort(reason);
      assertStrictEquals(
        await errorOf(manager.request(name, { signal: aborted }, unreached)),
        reason,
      );
      const plain = manager.request(name, { signal: AbortSignal.abort() }, unreached);
      await assertRefused(plain, "AbortError");
    },
  },
  {
    behavior:
      "An abort rejects a request that waits, with the signal's reason, and the queue moves on.",
    async run(manager) {
      const name = newLockName();
      const held = hold(manager, name);
      await held.granted;
      const controller = new AbortController();
      const { signal } = controller;
      const waiting = manager.request(name, { signal }, unreached);
      const behind = hold(manager, name);
      assertEquals((await stateOf(manager, name)).pending.length, 2);
      const reason = new Error("changed my mind");
      controller.abort(reason);
      assertStrictEquals(await errorOf(waiting), reason);
      await eventually(async () => (await stateOf(manager, name)).pending.length === 1);
      held.release();
      await behind.granted;
      behind.release();
      await behind.result;
    },
  },
  {
    behavior: "An abort before the callback has begun rejects the request, and the lock is free.",
    async run(manager) {
      const name = newLockName();
      const controller = new AbortController();
      const request = manager.request(name, { signal: controller.signal }, unreached);
      controller.abort("too late");
      assertEquals(await errorOf(request), "too late");
      await eventually(() => isFree(manager, name));
    },
  },
  {
    behavior: "An abort has no effect on a lock that is held.",
    async run(manager) {
      const name = newLockName();
      const controller = new AbortController();
      const held = hold(manager, name, { signal: controller.signal });
      await held.granted;
      controller.abort();
      assertEquals(await isFree(manager, name), false);
      held.release("done");
      assertEquals(await held.result, "done");
    },
  },
  {
    behavior: "One signal may belong to many requests.",
    async run(manager) {
      const name = newLockName();
      const controller = new AbortController();
      const { signal } = controller;
      const held = hold(manager, name, { signal });
      await held.granted;
      const waiting = [1, 2, 3].map(() => errorOf(manager.request(name, { signal }, unreached)));
      controller.abort("all of you");
      assertEquals(await Promise.all(waiting), ["all of you", "all of you", "all of you"]);
      held.release();
      await held.result;
    },
  },
  {
    behavior: "`steal` gets a lock that is free.",
    async run(manager) {
      const name = newLockName();
      assertEquals(await manager.request(name, { steal: true }, isNull), false);
      assertEquals(await isFree(manager, name), true);
    },
  },
  {
    behavior:
      "`steal` gets a lock that is held; the holder's promise rejects with an AbortError at once.",
    async run(manager) {
      const name = newLockName();
      const victim = hold(manager, name);
      await victim.granted;
      const thief = hold(manager, name, { steal: true });
      await assertRefused(victim.result, "AbortError");
      assert(await thief.granted);
      assertEquals(await stateOf(manager, name), { held: ["exclusive"], pending: [] });
      // What the victim's callback does now reaches nobody, and frees nothing.
      victim.fail(new Error("ignored"));
      assertEquals(await isFree(manager, name), false);
      thief.release("stolen");
      assertEquals(await thief.result, "stolen");
      assertEquals(await isFree(manager, name), true);
    },
  },
  {
    behavior: "`steal` takes the lock from all that share it.",
    async run(manager) {
      const name = newLockName();
      const sharers = [1, 2].map(() => hold(manager, name, { mode: "shared" }));
      await Promise.all(sharers.map(({ granted }) => granted));
      const thief = hold(manager, name, { steal: true });
      for (const { result } of sharers) await assertRefused(result, "AbortError");
      await thief.granted;
      for (const sharer of sharers) sharer.release();
      thief.release();
      await thief.result;
    },
  },
  {
    behavior: "`steal` is served before all that wait; they keep their places.",
    async run(manager) {
      const name = newLockName();
      const victim = hold(manager, name);
      await victim.granted;
      const [second, third] = [hold(manager, name), hold(manager, name)];
      const thief = hold(manager, name, { steal: true });
      await thief.granted;
      assertEquals((await stateOf(manager, name)).pending.length, 2);
      assertEquals([second.isGranted, third.isGranted], [false, false]);
      thief.release();
      await second.granted;
      assertEquals(third.isGranted, false);
      second.release();
      await third.granted;
      third.release();
      await third.result;
      victim.release();
    },
  },
  {
    behavior: "A lock that was stolen can be stolen again.",
    async run(manager) {
      const name = newLockName();
      const victims = [hold(manager, name)];
      await victims[0]!.granted;
      for (let turn = 0; turn < 3; turn++) {
        const thief = hold(manager, name, { steal: true });
        await thief.granted;
        await assertRefused(victims.at(-1)!.result, "AbortError");
        victims.push(thief);
      }
      victims.at(-1)!.release("kept");
      assertEquals(await victims.at(-1)!.result, "kept");
      for (const victim of victims) victim.release();
    },
  },
  {
    behavior: "`query` lists the locks that are held and the requests that wait.",
    async run(manager) {
      const [alone, together] = [newLockName(), newLockName()];
      const held = [
        hold(manager, alone),
        ...[1, 2].map(() => hold(manager, together, { mode: "shared" })),
      ];
      await Promise.all(held.map(({ granted }) => granted));
      const waiting = [hold(manager, alone, { mode: "shared" }), hold(manager, together)];
      assertEquals(await stateOf(manager, alone), { held: ["exclusive"], pending: ["shared"] });
      assertEquals(await stateOf(manager, together), {
        held: ["shared", "shared"],
        pending: ["exclusive"],
      });
      for (const one of [...held, ...waiting]) one.release();
      await Promise.all([...held, ...waiting].map(({ result }) => result));
      assertEquals(await stateOf(manager, alone), { held: [], pending: [] });
      assertEquals(await stateOf(manager, together), { held: [], pending: [] });
    },
  },
  {
    behavior: "`query` lists the requests that wait for a lock in the order in which they came.",
    async run(manager) {
      const name = newLockName();
      const held = hold(manager, name);
      await held.granted;
      const modes = ["shared", "exclusive", "exclusive", "shared", "exclusive"];
      const waiting = modes.map((mode) => hold(manager, name, { mode }));
      assertEquals((await stateOf(manager, name)).pending, modes);
      for (const one of [held, ...waiting]) one.release();
      await Promise.all(waiting.map(({ result }) => result));
    },
  },
  {
    behavior: "`query` gives plain data: name, mode, and a `clientId` that tells who asks.",
    async run(manager) {
      const name = newLockName();
      const held = hold(manager, name);
      await held.granted;
      const waiting = hold(manager, name, { mode: "shared" });
      const snapshot = await manager.query();
      const infos = [snapshot.held, snapshot.pending].map((list) =>
        list!.find((info) => info.name === name)!
      );
      for (const info of infos) {
        assertStrictEquals(Object.getPrototypeOf(info), Object.prototype);
        assertEquals(typeof info.clientId, "string");
        assertEquals(JSON.parse(JSON.stringify(info)), info);
      }
      assertEquals(infos.map(({ mode }) => mode), ["exclusive", "shared"]);
      // Both requests are of this client.
      assertEquals(infos[0]!.clientId, infos[1]!.clientId);
      held.release();
      waiting.release();
      await waiting.result;
    },
  },
];

function unreached(): never {
  throw new Error("this callback must not run");
}

function isNull(lock: unknown): boolean {
  return lock === null;
}

/** What a promise rejects with, whatever it is. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`expected a rejection, but the promise resolved to ${String(result)}`);
}

/** Asserts that a promise rejects with a DOMException of that name. */
async function assertRefused(promise: Promise<unknown>, name: string): Promise<void> {
  const error = await errorOf(promise);
  assert(error instanceof DOMException, `expected ${name}, got ${String(error)}`);
  assertEquals(error.name, name);
}
