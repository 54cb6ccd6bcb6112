/** Topics over NATS: between processes, when the server goes, and where it refuses. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { TandemError, topic } from "../../mod.ts";
import { linksClosed } from "../../src/nats/link.ts";
import type { Command, Item } from "../fixtures/topic.ts";
import {
  afterEnd,
  assertRejectsCode,
  eventually,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { hasNats, newNatsTarget } from "../support/nats.ts";
import { startNatsServer } from "../support/nats_server.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

test("topics over NATS: processes of all runtimes get all values, in their order", async () => {
  const target = newNatsTarget();
  const children = await Promise.all(runtimes.map(async (runtime) => {
    const child = await spawn(runtime, "topic.ts", [target], { denoPermissions: ["-A"] });
    await child.expect("ready");
    const options = { buffer: 10_000, overflow: "end" } as const;
    const command: Command = { do: "subscribe", options };
    assertEquals(await child.ask<string>(command), "subscribed");
    return child;
  }));
  using own = topic<Item>(target);
  const count = 500;
  for (let number = 1; number <= count; number++) {
    assertEquals(own.publish({ from: "own", number }), NaN);
  }
  for (const child of children) {
    const items = await child.ask<Item[]>({ do: "read", count } satisfies Command);
    assertEquals(
      items.map(({ number }) => number),
      Array.from({ length: count }, (_, at) => at + 1),
    );
  }
}, { skip });

test(
  "topics over NATS: the server goes: nothing is published, and who must not miss anything ends",
  async () => {
    const first = await startNatsServer();
    afterEnd(linksClosed);
    afterEnd(() => first.kill());
    using numbers = topic<number>(`nats://${first.address}/numbers`);
    using seen = numbers.subscribe();
    using strict = numbers.subscribe({ overflow: "end" });
    await strict.ready;
    numbers.publish(1);
    assertEquals([(await seen.next()).value, (await strict.next()).value], [1, 1]);
    await first.kill();
    await assertRejectsCode(strict.next(), "DISCONNECTED");
    assertEquals(assertThrows(() => numbers.publish(2), TandemError).code, "DISCONNECTED");
    const second = await startNatsServer("", first.port);
    afterEnd(() => second.kill());
    await eventually(() => {
      try {
        numbers.publish(3);
        return true;
      } catch {
        return false;
      }
    }, "values can be published again");
    assertEquals((await seen.next()).value, 3);
  },
  { skip },
);

for (const runtime of runtimes) {
  test(
    `${runtime}: a value that waits for a NATS server keeps no process alive for good`,
    async () => {
      const target = "nats://127.0.0.1:1/nowhere";
      const child = await spawn(runtime, "nats_topic.ts", [target], { denoPermissions: ["-A"] });
      await child.expect("published");
      await child.ended();
    },
    { skip },
  );
}

test("topics over NATS: what the server refuses", async () => {
  const server = await startNatsServer(`
    max_payload: 10000
    authorization: { users: [
      { user: reader, password: x, permissions: { subscribe: [">"], publish: ["nothing"] } }
      { user: writer, password: x, permissions: { subscribe: ["_INBOX.>"], publish: [">"] } }
    ] }
  `);
  afterEnd(linksClosed);
  afterEnd(() => server.kill());
  const target = (user: string) => `nats://${user}:x@${server.address}/numbers`;
  using reading = topic<unknown>(target("reader"));
  using seen = reading.subscribe();
  await seen.ready;
  reading.publish(1);
  await eventually(() => {
    try {
      reading.publish(1);
      return false;
    } catch (error) {
      assertEquals((error as TandemError).code, "PERMISSION");
      return true;
    }
  }, "publishing is refused");
  assert(!reading.path.includes("reader"), reading.path);
  using writing = topic<unknown>(target("writer"));
  using unseen = writing.subscribe();
  await assertRejectsCode(unseen.next(), "PERMISSION");
  writing.publish(2);
  assertEquals((await seen.next()).value, 2);
  const long = assertThrows(() => writing.publish("x".repeat(10_000)), TandemError);
  assertEquals(long.code, "TOO_LARGE");
}, { skip });
