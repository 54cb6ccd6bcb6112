/** Topics between processes: order, overflow, and subscribers and publishers that stop and die. */
import { assert, assertEquals } from "@std/assert";
import { readdirSync } from "node:fs";
import { topic } from "../../mod.ts";
import type { Command, Item } from "../fixtures/topic.ts";
import {
  type Child,
  eventually,
  newTarget,
  processState,
  type Runtime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";

/** A process on the topic. */
async function start(runtime: Runtime, target: string, flags: string[] = []): Promise<Child> {
  const child = await spawn(runtime, "topic.ts", [target], {
    denoPermissions: ["--allow-ffi", ...flags],
  });
  await child.expect("ready");
  return child;
}

async function ask<T>(child: Child, command: Command): Promise<T> {
  return await child.ask<T>(command);
}

async function subscriber(
  runtime: Runtime,
  target: string,
  options: Extract<Command, { do: "subscribe" }>["options"],
): Promise<Child> {
  const child = await start(runtime, target);
  assertEquals(await ask(child, { do: "subscribe", options }), "subscribed");
  return child;
}

function read(child: Child, count: number): Promise<Item[]> {
  return ask(child, { do: "read", count });
}

/** The numbers of each publisher, in the order in which they came. */
function numbersBy(items: readonly Item[]): Record<string, number[]> {
  const numbers: Record<string, number[]> = {};
  for (const { from, number } of items) (numbers[from] ??= []).push(number);
  return numbers;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

test("subscribers and publishers of all runtimes: each gets all, in the order of each publisher", async () => {
  const target = newTarget();
  const subscribers: Child[] = [];
  for (const each of runtimes) {
    subscribers.push(await subscriber(each, target, { buffer: 10_000, overflow: "end" }));
  }
  using own = topic<Item>(target);
  using seen = own.subscribe({ buffer: 10_000, overflow: "end" });
  const publishers = await Promise.all(runtimes.map((each) => start(each, target)));
  const count = 1_000;
  const readers = runtimes.length + 1;
  const writers = runtimes.length + 1;
  const published = publishers.map((child, index) =>
    ask(child, { do: "publish", from: runtimes[index]!, count })
  );
  for (let number = 1; number <= count; number++) {
    assertEquals(own.publish({ from: "own", number }), readers);
  }
  assertEquals(await Promise.all(published), publishers.map(() => [readers, readers]));
  const expected = Object.fromEntries([...runtimes, "own"].map((from) => [from, upTo(count)]));
  for (const child of subscribers) {
    assertEquals(numbersBy(await read(child, writers * count)), expected);
    assertEquals(await ask(child, { do: "dropped" }), 0);
  }
  const items: Item[] = [];
  while (items.length < writers * count) items.push((await seen.next()).value!);
  assertEquals(numbersBy(items), expected);
});

test("publishers of all runtimes crowd a small buffer: the order stays, and every value is read or counted", async () => {
  const target = newTarget();
  using own = topic<Item>(target);
  using seen = own.subscribe({ buffer: 5 });
  const count = 3_000;
  const publishers = await Promise.all(runtimes.map((each) => start(each, target)));
  let arePublishing = true;
  const published = Promise.all(
    publishers.map((child, index) => ask(child, { do: "publish", from: runtimes[index]!, count })),
  ).finally(() => {
    arePublishing = false;
    own.publish({ from: "end", number: 1 });
  });
  const items: Item[] = [];
  for await (const item of seen) {
    if (item.from === "end") break;
    items.push(item);
  }
  assertEquals(arePublishing, false);
  assertEquals(await published, publishers.map(() => [1, 1]));
  for (const numbers of Object.values(numbersBy(items))) {
    assertEquals(numbers, numbers.toSorted((a, b) => a - b));
    assertEquals(new Set(numbers).size, numbers.length);
  }
  assertEquals(items.length + seen.dropped, publishers.length * count);
});

for (const each of runtimes) {
  test(`${each} subscribes: a stopped subscriber holds up nobody, and goes on with the newest values`, async () => {
    const target = newTarget();
    const stopped = await subscriber(each, target, { buffer: 10 });
    const strict = await subscriber(each, target, { buffer: 10, overflow: "end" });
    using own = topic<Item>(target);
    using seen = own.subscribe({ buffer: 10_000 });
    await Promise.all([stopped.stopped(), strict.stopped()]);
    const count = 5_000;
    for (let number = 1; number <= count; number++) own.publish({ from: "own", number });
    const numbers: number[] = [];
    while (numbers.length < count) numbers.push((await seen.next()).value!.number);
    assertEquals(numbers, upTo(count));
    stopped.kill("SIGCONT");
    const newest = await read(stopped, 10);
    assertEquals(newest.map(({ number }) => number), upTo(count).slice(-10));
    assertEquals(await ask(stopped, { do: "dropped" }), count - 10);
    strict.kill("SIGCONT");
    const oldest = await read(strict, 10);
    assertEquals(oldest.map(({ number }) => number), upTo(10));
  });

  test(`${each} subscribes: a killed subscriber is forgotten, and leaves no files`, async () => {
    const target = newTarget();
    using own = topic<Item>(target);
    using seen = own.subscribe();
    // Private channels, and the sockets that tell of a death.
    const isOfOne = (name: unknown) => /^u\d+\/[pl][^/.]+$/.test(String(name));
    const files = () =>
      readdirSync(`${own.path}.bells`, { recursive: true }).filter(isOfOne).length;
    own.publish({ from: "own", number: 1 });
    const before = files();
    const killed = await subscriber(each, target, { buffer: 5 });
    assertEquals(own.publish({ from: "own", number: 2 }), 2);
    await killed.killed();
    await eventually(() => own.publish({ from: "own", number: 3 }) === 1);
    await eventually(() => files() === before);
    assertEquals((await seen.next()).value!.number, 1);
  });

  test(`${each} publishes: it is killed while it does, and the others go on`, async () => {
    const target = newTarget();
    using own = topic<Item>(target);
    const seen = own.subscribe({ buffer: 20 });
    for (let round = 0; round < 3; round++) {
      const killed = await start(each, target);
      assertEquals(await ask(killed, { do: "flood", from: "killed" }), "publishing");
      let last = 0;
      while (last < 500) {
        const { from, number } = (await seen.next()).value!;
        if (from !== "killed") continue;
        assert(number > last, `${number} after ${last}`);
        last = number;
      }
      await killed.killed();
      own.publish({ from: "own", number: round });
      for (let left = 60;; left--) {
        assert(left > 0, "more values than could wait");
        const { from, number } = (await seen.next()).value!;
        if (from === "own" && number === round) break;
      }
    }
    // Not a slot is lost.
    for (let number = 1; number <= 30; number++) own.publish({ from: "own", number });
    const newest: number[] = [];
    while (newest.length < 20) newest.push((await seen.next()).value!.number);
    assertEquals(newest, upTo(30).slice(-20));
    seen.close();
  });

  test(`${each} publishes: the last value of a process that ends at once arrives`, async () => {
    const target = newTarget();
    using own = topic<Item>(target);
    using seen = own.subscribe();
    const publisher = await start(each, target);
    publisher.send({ do: "publish and exit", from: each } satisfies Command);
    assertEquals((await seen.next()).value, { from: each, number: 1 });
    assertEquals((await publisher.exited).code, 0);
  });

  test(`${each}: an open topic and an open subscription keep no process alive`, async () => {
    const target = newTarget();
    const child = await subscriber(each, target, { buffer: 5 });
    await ask(child, { do: "publish", from: each, count: 3 });
    assertEquals((await read(child, 1)).length, 1);
    // Without its input, nothing else keeps it alive.
    child.end();
    assertEquals((await child.exited).code, 0);
  });

  test(`${each}: forgotten subscriptions are closed`, async () => {
    const target = newTarget();
    const child = await start(each, target, ["--v8-flags=--expose-gc"]);
    using own = topic<Item>(target);
    assertEquals(await ask(child, { do: "forget", count: 20 }), 20);
    // One may still be on the stack, or where a conservative collector takes it for a reference.
    await eventually(async () => {
      assertEquals(await ask(child, { do: "collect" }), "collected");
      return own.publish({ from: "own", number: 2 }) <= 2;
    });
  });

  test(`${each}: topics and subscriptions that are closed leave nothing behind`, async () => {
    const target = newTarget();
    const child = await start(each, target, ["--v8-flags=--expose-gc"]);
    const belongings = async (count: number) => {
      assertEquals(await ask(child, { do: "churn", count }), "churned");
      const { descriptors, mappings } = processState(child.pid);
      const channels = mappings.filter((line) => line.includes(target)).length;
      return { descriptors, channels };
    };
    const before = await belongings(50);
    const after = await belongings(200);
    // The runtimes open descriptors for themselves. A leak would add hundreds.
    assert(after.descriptors - before.descriptors < 20, `${after.descriptors}`);
    assertEquals(after.channels, before.channels);
  });
}
