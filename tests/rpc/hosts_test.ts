/** A typed service with hostile clients and damaged memory. */
import { assert, assertEquals } from "@std/assert";
import { Client, connect, serve, Server } from "../../mod.ts";
import { wireVersion } from "../../src/rpc/message.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  assertRejectsCode,
  type Child,
  doomed,
  eventually,
  newTarget,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { privateChannelsOf } from "../support/bells.ts";
import { collect, rejection, startService, typed } from "../support/rpc_helper.ts";
import { exchange, headOffset } from "../support/scribble.ts";

/** Clients whose thread blocks while what they have sent is fetched: more than a service with two places serves. */
async function hang(target: string, what: string, timeout = 600_000): Promise<Child[]> {
  const children = await Promise.all(
    runtimes.map((runtime) => spawn(runtime, "typed_client.ts", [target, what, String(timeout)])),
  );
  for (const child of children) await child.expect("sent");
  return children;
}

for (const runtime of runtimes) {
  test(`${runtime} serves: messages that name an impossible host take no place`, async () => {
    using there = await typed(runtime, { concurrency: 2 });
    using client = Client.open(there.target);
    // A parcel of nothing, and the impossible name of its host.
    const forged = Uint8Array.of(wireVersion, 2, 2, 0, 14, 0, 0, 0, 1, 0, 0, 0, 0x61, 0x78);
    for (let count = 0; count < 6; count++) await client.request(forged);
    assertEquals(await there.remote.addLater(1, 2), 3);
    there.service.send("stop");
    await there.service.expect("stopped");
  });

  test(`${runtime} serves: clients that are stopped or killed while they send block no other client`, async () => {
    using there = await typed(runtime, { concurrency: 2 });
    const hanging = await hang(there.target, "hang");
    for (const child of hanging) await child.stopped();
    const calls = Array.from({ length: 8 }, (_, index) => there.remote.addLater(index, 1));
    assertEquals(await Promise.all(calls), [1, 2, 3, 4, 5, 6, 7, 8]);
    // Long ones of others as well.
    const long = new Uint8Array(3_000_000).fill(7);
    assertEquals(await there.remote.echo(long), [long]);
    for (const child of hanging) await child.killed();
    using watcher = Server.open(there.target);
    await eventually(() => watcher.stats().inFlight === 0, "their calls end");
    assertEquals(await there.remote.addLater(1, 2), 3);
    there.service.send("stop");
    await there.service.expect("stopped");
  });

  test(`${runtime} serves: a service ends although a client is stopped in mid-send`, async () => {
    using there = await typed(runtime, { concurrency: 2 });
    for (const child of await hang(there.target, "hang")) await child.stopped();
    there.service.send("stop");
    await there.service.expect("stopped");
  });

  test(`${runtime} serves: no client holds a place longer than its call`, async () => {
    using there = await typed(runtime, { concurrency: 2 });
    // All places are taken by methods that read what stopped clients lend.
    const hanging = await hang(there.target, "hang-lending", 1_000);
    for (const child of hanging) await child.stopped();
    assertEquals(await there.remote.addLater(1, 2), 3);
    there.service.send("stop");
    for (let line = ""; line !== "stopped"; line = await there.service.line());
  });

  test(`${runtime} serves: a scribbled private channel is replaced`, async () => {
    using there = await typed(runtime);
    const { remote, service, target } = there;
    for (let round = 0; round < 3; round++) {
      const stream = remote.naturals();
      assertEquals((await stream.next()).value, 0);
      await service.expect("generator begins");
      const paths = privateChannelsOf(target);
      assertEquals(paths.length, 1);
      exchange(paths[0]!, headOffset, 0x1234_5678_9abc_def0n);
      const step = doomed(stream.next());
      await service.expect("generator ends");
      const { code } = await rejection(step) as Error & { code: string };
      assert(["SERVER_DIED", "CANCELLED", "CORRUPT"].includes(code), code);
      assertEquals((await collect(remote.pieces(10, 3))).length, 3);
      assertEquals(await remote.add(1, 2), 3);
    }
    // The caller's own host as well.
    async function* numbers() {
      for (let number = 1; number < 4; number++) {
        const own = privateChannelsOf(target);
        if (number === 2) {
          for (const path of own) exchange(path, headOffset, 0x1234_5678_9abc_def0n);
        }
        yield number;
      }
    }
    const failing = await rejection(remote.sum(numbers())) as Error & { code: string };
    assert(failing.code !== undefined, String(failing));
    async function* others() {
      yield 5;
      yield 6;
    }
    assertEquals(await remote.sum(others()), 11);
    service.send("stop");
    await service.expect("stopped");
    remote[Symbol.dispose]();
    Server.unlink(target);
    assertEquals(service.stderr, "");
  });

  test(`${runtime} serves: idle connections give up their leases`, async () => {
    const target = newTarget();
    const service = await startService(runtime, target);
    const many = await spawn(runtime, "typed_many.ts", [target, "100"]);
    await many.expect("ready");
    assertEquals(await many.ask("open"), { "0": 100 });
    const [path] = privateChannelsOf(target);
    // As a participant, it sees the leases.
    using watcher = Client.open(path!);
    // The answer to a claim may be read after the item.
    await eventually(() => watcher.stats().inFlight === 100, "there are only the leases");
    assertEquals(await many.ask("next"), { "1": 100 });
    assertEquals(await many.ask("close"), { "true": 100 });
    await eventually(() => watcher.stats().inFlight === 0, "the leases are given up");
    // And again, with new ones.
    assertEquals(await many.ask("open"), { "0": 100 });
    await eventually(() => watcher.stats().inFlight === 100, "there are only the leases");
    await many.killed();
    await eventually(() => watcher.stats().inFlight === 0, "the leases of the dead end");
    service.send("stop");
    for (let line = ""; line !== "stopped"; line = await service.line());
  });
}

test("a thousand clients have streams of one service at once", async () => {
  const target = newTarget();
  const api = {
    async *naturals(): AsyncGenerator<number> {
      for (let number = 0;; number++) yield number;
    },
  };
  await using service = serve(target, api, { slots: 1_024 });
  // With the service, as many handles as a channel takes.
  const count = Math.floor(1_023 / runtimes.length);
  const readers = await Promise.all(
    runtimes.map((runtime) => spawn(runtime, "typed_many.ts", [target, `${count}`])),
  );
  for (const reader of readers) await reader.expect("ready");
  const all = async (what: string, outcome: string) => {
    const found = await Promise.all(readers.map((reader) => reader.ask(what)));
    assertEquals(found, runtimes.map(() => ({ [outcome]: count })));
  };
  await all("open", "0");
  await all("next", "1");
  await all("next", "2");
  await all("close", "true");
  assertEquals(service.stats().clients, count * runtimes.length);
}, { timeout: 600_000 });

test(
  "streams beyond the slots of a host end with BUSY or go on, and block no other stream",
  async () => {
    const target = newTarget();
    let release = (): void => {};
    const released = new Promise<void>((resolve) => release = resolve);
    const api = {
      async *silent(): AsyncGenerator<number> {
        await released;
        yield 1;
      },
    };
    await using service = serve(target, api);
    using greedy = connect<typeof api>(target);
    using other = connect<typeof api>(target);
    const first = await other.silent();
    const count = 4_200;
    const streams = Array.from({ length: count }, () => greedy.silent());
    const steps = streams.map(async (stream) => {
      try {
        return String((await stream.next()).value);
      } catch (error) {
        return String((error as { code?: string }).code);
      }
    });
    const busy = await Promise.race(steps);
    assertEquals(busy, "BUSY");
    const late = doomed(first.next());
    release();
    const outcomes = await Promise.all(steps);
    assert(outcomes.every((outcome) => outcome === "1" || outcome === "BUSY"));
    assert(outcomes.filter((outcome) => outcome === "1").length >= 4_000);
    assertEquals((await late).value, 1);
    void service;
  },
  { timeout: 600_000 },
);

test("errors, thenables and items whose getters throw still fail their calls", async () => {
  const target = newTarget();
  const api = {
    unknown: () => {
      throw Object.assign(new Error("x"), {
        get name(): string {
          throw new Error("no name");
        },
      });
    },
    thenable: () => ({
      get then(): never {
        throw new RangeError("no then");
      },
    }),
    async *odd(): AsyncGenerator<unknown> {
      yield {
        get value(): never {
          throw new RangeError("no value");
        },
      };
    },
  };
  await using service = serve(target, api, { concurrency: 1 });
  using remote = connect<typeof api>(target, { timeout: 20_000 });
  for (let round = 0; round < 3; round++) {
    await rejection(remote.unknown());
    await rejection(remote.thenable() as unknown as Promise<unknown>);
    await rejection(remote.odd().next());
  }
  await assertRejectsCode(
    (remote as unknown as { nothing(): Promise<void> }).nothing(),
    "UNKNOWN_METHOD",
  );
  void service;
});

export type { Api };
