/** What the error of a call says: target, method, the code that awaits it, and the other side's frames. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { connect, type RemoteError, serve, type TandemError, withOptions } from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import {
  atEnd,
  doomed,
  eventually,
  longEnough,
  newTarget,
  ownRuntime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { rejection, startService, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

type Fields = { target?: string; method?: string };

function assertNames(error: unknown, target: string, method: string): void {
  const { target: foundTarget, method: foundMethod } = error as Fields;
  assertEquals([foundTarget, foundMethod], [target, method]);
}

/** Asserts that the stack has these texts, in this order. */
function assertStack(error: Error, ...texts: readonly string[]): void {
  let at = 0;
  for (const text of texts) {
    const found = error.stack!.indexOf(text, at);
    assert(
      found >= 0,
      `${JSON.stringify(text)} is not there, or not in its order:\n${error.stack}`,
    );
    at = found + text.length;
  }
}

async function callerInside<T>(call: () => PromiseLike<T>): Promise<T> {
  return await call();
}

async function callerOutside<T>(call: () => PromiseLike<T>): Promise<T> {
  return await callerInside(call);
}

const border = (target: string, method: string): string =>
  `    at the service of ${JSON.stringify(target)} (method ${method})`;

for (const site of sites) {
  test(`${site.title}: an error of a method leads from its caller to the fault`, async () => {
    using there = await typedAt(site);
    const { remote, target } = there;
    const error = await rejection<RemoteError>(callerOutside(() => remote.fail("range")));
    assertNames(error, target, "fail");
    const where = `(method "fail" of ${JSON.stringify(target)})`;
    assertEquals(error.message, `RangeError: as it was asked to ${where}`);
    assertEquals(error.remoteMessage, "as it was asked to");
    assertStack(error, error.message, "callerInside", "callerOutside", border(target, "fail"));
    assertStack(error, border(target, "fail"), "typed.ts");
    assert(error.remoteStack.startsWith("RangeError: as it was asked to\n"), error.remoteStack);
    assert(!error.remoteStack.includes("callerInside"));
    assertInstanceOf(error.cause, TypeError);
  });

  test(`${site.title}: an error of a registered class has target, method and frames`, async () => {
    using there = await typedAt(site);
    const error = await rejection<CustomError>(callerOutside(() => there.remote.fail("custom")));
    assertInstanceOf(error, CustomError);
    assertNames(error, there.target, "fail");
    // They belong to the call, and not to the error that was thrown.
    assertEquals(Object.keys(error).filter((key) => ["target", "method"].includes(key)), []);
    assertEquals(error.message, "of its own");
    assertStack(error, "callerInside", "callerOutside", border(there.target, "fail"), "typed.ts");
  });

  test(`${site.title}: errors of streams lead to the loop that reads them`, async () => {
    using there = await typedAt(site);
    const readAll = async (): Promise<void> => {
      for await (const item of there.remote.failing()) void item;
    };
    const error = await rejection<RemoteError>(callerOutside(readAll));
    assertNames(error, there.target, "failing");
    assertStack(error, "callerInside", "callerOutside", border(there.target, "failing"));
  });

  test(`${site.title}: each code has target, method, both in its message, and the caller`, async () => {
    using there = await typedAt(site);
    const { remote, target } = there;
    const wrong = remote as unknown as { nothing(): Promise<void> };
    const calls: [string, string, () => Promise<unknown>][] = [
      ["TIMEOUT", "hold", () => withOptions(remote, { timeout: 20 }).hold()],
      ["NOT_SERIALIZABLE", "echo", () => remote.echo(() => {})],
      ["NOT_SERIALIZABLE", "echo", () => withOptions(remote, { idempotent: true }).echo(() => {})],
      ["NOT_SERIALIZABLE", "unsendable", () => remote.unsendable()],
      ["UNKNOWN_METHOD", "nothing", () => wrong.nothing()],
      ["REMOTE", "fail", () => withOptions(remote, { idempotent: true }).fail("range")],
    ];
    for (const [code, method, call] of calls) {
      const error = await rejection<TandemError>(callerOutside(call));
      assertEquals(error.code, code);
      assertNames(error, target, method);
      const text = `(method ${JSON.stringify(method)} of ${JSON.stringify(target)})`;
      assert(error.message.endsWith(text), error.message);
      assertEquals(error.message.split(text).length, 2, error.message);
      assertStack(error, "callerInside", "callerOutside");
    }
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: calls that end together have errors of their own`, async () => {
    const target = newTarget();
    const api = { first: () => new Promise<void>(() => {}), second: () => new Promise(() => {}) };
    const service = serve(target, api);
    atEnd(() => service.close({ timeout: 0 }));
    const remote = connect<typeof api>(target);
    const calls = [remote.first(), remote.second(), remote.second()].map(doomed);
    await eventually(() => service.stats().inFlight === 3);
    remote[Symbol.dispose]();
    const errors: TandemError[] = [];
    for (const call of calls) errors.push(await rejection<TandemError>(call));
    assertEquals(errors.map(({ code }) => code), ["CLOSED", "CLOSED", "CLOSED"]);
    assertEquals(errors.map(({ method }) => method), ["first", "second", "second"]);
    assertEquals(new Set(errors).size, 3);
    const late = await rejection<TandemError>(remote.first());
    assertEquals([late.code, late.target, late.method], ["CLOSED", target, "first"]);
  });

  test(`${title}: calls without a service: NO_SERVER with target and method, each its own`, async () => {
    const target = newTarget();
    // While a call is on its way to NATS, it may end with TIMEOUT.
    await longEnough(20, async (timeout) => {
      using remote = connect<{ a(): void; b(): void }>(target, { timeout });
      const calls = [doomed(remote.a()), doomed(remote.b())];
      const errors: TandemError[] = [];
      for (const call of calls) errors.push(await rejection<TandemError>(call));
      for (const [index, error] of errors.entries()) assertNames(error, target, "ab"[index]!);
      assertEquals(new Set(errors).size, 2);
      if (title === "NATS" && errors.some(({ code }) => code === "TIMEOUT")) return false;
      assertEquals(errors.map(({ code }) => code), ["NO_SERVER", "NO_SERVER"]);
      return true;
    });
  });

  test(`${title}: a function has no method's name`, async () => {
    const target = newTarget();
    await using service = serve(target, () => {
      throw new Error("no");
    });
    using remote = connect<() => void>(target);
    const error = await rejection<RemoteError>(callerOutside(() => remote()));
    assertNames(error, target, "");
    assertEquals(error.message, `Error: no (the function ${JSON.stringify(target)})`);
    assertStack(error, "callerInside", `at the service of ${JSON.stringify(target)}`);
    void service;
  });

  test(`${title}: an abort reason, and an error of an argument, are never changed`, async () => {
    const target = newTarget();
    await using service = serve(target, { hang: (_: unknown) => new Promise<void>(() => {}) });
    using remote = connect<{ hang(value: unknown): void }>(target);
    const reason = new RangeError("mine");
    Object.freeze(reason);
    const stack = reason.stack;
    const controller = new AbortController();
    const call = doomed(withOptions(remote, { signal: controller.signal }).hang(1));
    controller.abort(reason);
    assert(await rejection(call) === reason);
    assertEquals([reason.stack, Object.keys(reason)], [stack, []]);
    const mine = new RangeError("of a getter");
    const argument = {
      get value() {
        throw mine;
      },
    };
    assert(await rejection(remote.hang(argument)) === mine);
    assertEquals([mine.message, "method" in mine], ["of a getter", false]);
    await service.close({ timeout: 0 });
  });

  test(`${title}: callSites: the call's place, where no await leads to it`, async () => {
    const target = newTarget();
    await using service = serve(target, {
      no() {
        throw new Error("no");
      },
    });
    using remote = connect<{ no(): void }>(target, { callSites: true });
    function makesCall(): Promise<unknown> {
      return remote.no().then(() => {});
    }
    const error = await rejection<RemoteError>(makesCall());
    assertStack(error, "makesCall", border(target, "no"));
    const first = error.stack!.split("\n")[1]!;
    assert(first.includes("makesCall"), `the first frame is of this package: ${first}`);
    // Without it, nothing is captured.
    const without = withOptions(remote, { callSites: false });
    const plain = await rejection<RemoteError>(
      (function makesCall() {
        return without.no().then(() => {});
      })(),
    );
    assert(!plain.stack!.includes("makesCall"), plain.stack);
    assertThrows(
      () => withOptions(remote, { callSites: "yes" as unknown as boolean }),
      TypeError,
      "callSites",
    );
    void service;
  });

  test(`${title}: an error passes around with its call and its caller`, async () => {
    const target = newTarget();
    await using service = serve(target, {
      no() {
        throw new Error("no");
      },
    });
    using remote = connect<{ no(): void }>(target, { around: async (_, next) => await next() });
    const error = await rejection<RemoteError>(callerOutside(() => remote.no()));
    assertNames(error, target, "no");
    assertEquals(error.message.split("(method").length, 2, error.message);
    assertStack(error, "callerInside", "callerOutside", border(target, "no"));
    void service;
  });
}

for (const runtime of runtimes) {
  for (const client of ownRuntime) {
    test(`${runtime} serves ${client}: an uncaught error prints both sides and the cause`, async () => {
      const target = newTarget();
      await startService(runtime, target);
      const caller = await spawn(client, "uncaught.ts", [target]);
      await caller.closed;
      const { stderr } = caller;
      let at = 0;
      const parts = [
        "RangeError: as it was asked to",
        `(method "fail" of ${JSON.stringify(target)})`,
        "innerCaller",
        "outerCaller",
        `at the service of ${JSON.stringify(target)} (method fail`,
        "typed.ts",
        "TypeError: underneath",
      ];
      for (const part of parts) {
        const found = stderr.indexOf(part, at);
        assert(found >= 0, `${JSON.stringify(part)} is missing in\n${stderr}`);
        at = found;
      }
    });
  }
}

test("an interface without frames: errors keep their codes when the program limits stacks", async () => {
  const target = newTarget();
  await using service = serve(target, {
    no() {
      throw new Error("no");
    },
  });
  using remote = connect<Pick<Api, "pid"> & { no(): void }>(target);
  const holder = Error as { stackTraceLimit?: number };
  const before = holder.stackTraceLimit;
  try {
    holder.stackTraceLimit = 0;
    const error = await rejection<RemoteError>(remote.no());
    assertEquals([error.code, error.method], ["REMOTE", "no"]);
  } finally {
    holder.stackTraceLimit = before!;
  }
  void service;
});
