/** Topics, within one process and over both transports. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  connect,
  proxy,
  serve,
  type Subscription,
  TandemError,
  type Topic,
  topic,
} from "../../mod.ts";
import { assertRejectsCode, newTarget, test } from "../support/harness.ts";
import { collect, rejection } from "../support/rpc_helper.ts";
import { topicTransports as transports } from "../support/sites.ts";

/** The next values. */
async function take<T>(subscription: Subscription<T>, count: number): Promise<T[]> {
  const values: T[] = [];
  while (values.length < count) {
    const { done, value } = await subscription.next();
    if (done) break;
    values.push(value);
  }
  return values;
}

function publishAll<T>(to: Topic<T>, values: readonly T[]): number[] {
  return values.map((value) => to.publish(value));
}

const oneToTen = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

for (const { title, newTarget, seenBy, arrived } of transports) {
  test(`${title}: every subscriber gets what is published after it came, in order`, async () => {
    const target = newTarget();
    using publisher = topic<number>(target);
    assertEquals(publisher.publish(0), seenBy(0));
    await arrived(publisher);
    using other = topic<number>(target);
    using first = other.subscribe();
    assertEquals(publisher.publish(1), seenBy(1));
    using second = publisher.subscribe();
    assertEquals(publishAll(other, [2, 3]), [2, 2].map(seenBy));
    assertEquals(await take(first, 3), [1, 2, 3]);
    assertEquals(await take(second, 2), [2, 3]);
    second.close();
    assertEquals(publisher.publish(4), seenBy(1));
    assertEquals(await take(first, 1), [4]);
    assertEquals([first.dropped, second.dropped], [0, 0]);
  });

  test(`${title}: values of any kind arrive as copies of what they were`, async () => {
    using sums = topic<unknown>(newTarget());
    using seen = sums.subscribe();
    const bytes = new Uint8Array(200_000).fill(7);
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    const values = [
      undefined,
      null,
      "",
      -0,
      2n ** 70n,
      new Date(5),
      new Map([[{ a: 1 }, new Set([/x/g])]]),
      { nested: [{ deep: true }] },
      bytes,
      "ü".repeat(70_000),
      Float64Array.of(NaN, 1.5),
    ];
    publishAll(sums, values);
    sums.publish(cyclic);
    const before = bytes.slice();
    bytes.fill(0);
    const read = await take(seen, values.length);
    assertEquals(read, values.with(8, before));
    assert(Object.is(read[3], -0));
    const [copy] = await take(seen, 1) as [unknown[]];
    assertEquals(copy[0], copy);
    sums.publish(Object.assign(new RangeError("of its own"), { extra: 1 }));
    const [error] = await take(seen, 1) as [RangeError];
    assertEquals([error.name, error.message], ["RangeError", "of its own"]);
  });

  test(`${title}: a full buffer drops the oldest, drops the newest, or ends`, async () => {
    using numbers = topic<number>(newTarget());
    using oldest = numbers.subscribe({ buffer: 3 });
    using newest = numbers.subscribe({ buffer: 3, overflow: "drop-newest" });
    using strict = numbers.subscribe({ buffer: 3, overflow: "end" });
    using roomy = numbers.subscribe({ buffer: 10, overflow: "end" });
    assertEquals(publishAll(numbers, oneToTen), [4, 4, 4, 2, 2, 2, 2, 2, 2, 2].map(seenBy));
    await arrived(numbers);
    assertEquals(await take(oldest, 3), [8, 9, 10]);
    assertEquals(await take(newest, 3), [1, 2, 3]);
    assertEquals(await take(roomy, 10), oneToTen);
    assertEquals([oldest.dropped, newest.dropped, roomy.dropped], [7, 7, 0]);
    assertEquals(await take(strict, 3), [1, 2, 3]);
    await assertRejectsCode(strict.next(), "BUSY", "more than 3 values");
    assertEquals(await strict.next(), { done: true, value: undefined });
    // There is room again, and values come as before.
    assertEquals(publishAll(numbers, [11, 12]), [3, 3].map(seenBy));
    assertEquals(await take(oldest, 2), [11, 12]);
    assertEquals(await take(newest, 2), [11, 12]);
    assertEquals(await take(roomy, 2), [11, 12]);
    assertEquals([oldest.dropped, newest.dropped], [7, 7]);
  });

  test(`${title}: a buffer of one, again and again`, async () => {
    using numbers = topic<number>(newTarget());
    using oldest = numbers.subscribe({ buffer: 1 });
    using newest = numbers.subscribe({ buffer: 1, overflow: "drop-newest" });
    for (let round = 0; round < 50; round++) {
      publishAll(numbers, [1, 2, 3].map((number) => round * 3 + number));
      await arrived(numbers);
      assertEquals(await take(oldest, 1), [round * 3 + 3]);
      assertEquals(await take(newest, 1), [round * 3 + 1]);
    }
    assertEquals([oldest.dropped, newest.dropped], [100, 100]);
  });

  test(`${title}: waits get values in their order, and end with the subscription`, async () => {
    using numbers = topic<number>(newTarget());
    const seen = numbers.subscribe();
    const waits = [seen.next(), seen.next(), seen.next()];
    publishAll(numbers, [1, 2]);
    assertEquals((await Promise.all(waits.slice(0, 2))).map(({ value }) => value), [1, 2]);
    seen.close();
    assertEquals(await waits[2], { done: true, value: undefined });
    seen.close();
    assertEquals(await seen.next(), { done: true, value: undefined });
    assertEquals(numbers.publish(3), seenBy(0));
  });

  test(`${title}: leaving a loop closes, and disposing does`, async () => {
    using numbers = topic<number>(newTarget());
    const left = numbers.subscribe();
    publishAll(numbers, [1, 2]);
    for await (const number of left) if (number === 1) break;
    assertEquals(numbers.publish(3), seenBy(0));
    {
      await using _disposed = numbers.subscribe();
      assertEquals(numbers.publish(4), seenBy(1));
    }
    assertEquals(numbers.publish(5), seenBy(0));
  });

  test(`${title}: a signal ends a subscription with its reason, once`, async () => {
    using numbers = topic<number>(newTarget());
    const leaving = new AbortController();
    const seen = numbers.subscribe({ signal: leaving.signal });
    const waiting = seen.next();
    const reason = new Error("enough");
    leaving.abort(reason);
    assertEquals(await rejection(waiting), reason);
    assertEquals(await seen.next(), { done: true, value: undefined });
    assertEquals(numbers.publish(1), seenBy(0));
    assertThrows(() => numbers.subscribe({ signal: leaving.signal }), Error, "enough");
  });

  test(`${title}: what cannot be published is refused, and nobody gets anything`, async () => {
    using anything = topic<unknown>(newTarget(), { maxMessageBytes: 1_000 });
    using seen = anything.subscribe();
    const unsendable = [
      () => {},
      { a: [Promise.resolve()] },
      (async function* () {})(),
      new ReadableStream(),
      new AbortController().signal,
      proxy(() => {}),
    ];
    for (const value of unsendable) {
      const error = assertThrows(() => anything.publish(value), TandemError, "value");
      assertEquals(error.code, "NOT_SERIALIZABLE");
    }
    const thrown = new RangeError("of a getter");
    const troubled = {
      get a() {
        throw thrown;
      },
    };
    assertThrows(() => anything.publish(troubled), RangeError, "of a getter");
    for (const value of ["x".repeat(1_000), new Uint8Array(1_000)]) {
      const error = assertThrows(() => anything.publish(value), TandemError, "maxMessageBytes");
      assertEquals(error.code, "TOO_LARGE");
    }
    assertEquals(anything.publish("x".repeat(900)), seenBy(1));
    assertEquals(await take(seen, 1), ["x".repeat(900)]);
  });

  test(`${title}: wrong options, and a topic that is closed`, async () => {
    const target = newTarget();
    assertThrows(() => topic(target, { maxMessageBytes: 0 }), RangeError);
    assertThrows(() => topic(target, null as unknown as object), TypeError);
    assertThrows(() => topic("nats://localhost"), TypeError, "nats");
    assertThrows(() => topic(7 as unknown as string), TypeError);
    const numbers = topic<number>(target);
    for (const buffer of [0, -1, 1.5, 2 ** 20]) {
      assertThrows(() => numbers.subscribe({ buffer }), RangeError, "buffer");
    }
    assertThrows(
      () => numbers.subscribe({ overflow: "explode" as "end" }),
      TypeError,
      "drop-oldest",
    );
    using seen = numbers.subscribe();
    numbers.publish(1);
    numbers.close();
    numbers.close();
    for (const use of [() => numbers.publish(2), () => numbers.subscribe()]) {
      assertEquals(assertThrows(use, TandemError).code, "CLOSED");
    }
    assertEquals(await take(seen, 1), [1]);
  });

  test(`${title}: a topic that is unlinked ends its subscriptions, and is made anew`, async () => {
    const target = newTarget();
    using numbers = topic<number>(target);
    const seen = numbers.subscribe();
    using other = topic<number>(target);
    other.publish(1);
    const waiting = (async () => await collect(seen))();
    assertEquals(other.unlink(), true);
    await assertRejectsCode(waiting, "NOT_FOUND", "unlinked");
    using again = other.subscribe();
    assertEquals(numbers.publish(2), seenBy(1));
    assertEquals(await take(again, 1), [2]);
  });
}

test("a service and a topic of one name have nothing to do with each other", async () => {
  const target = newTarget();
  await using _service = serve(target, { ping: () => "pong" });
  using numbers = topic<number>(target);
  using seen = numbers.subscribe();
  using remote = connect<{ ping(): string }>(target, { timeout: 10_000 });
  assertEquals([await remote.ping(), numbers.publish(1)], ["pong", 1]);
  assertEquals(await take(seen, 1), [1]);
  assert(numbers.path.startsWith(target) && numbers.path !== target);
});

test("subscribers take shorter values than are published: those count as dropped, or end", async () => {
  const target = newTarget();
  using publisher = topic<string>(target);
  using short = topic<string>(target, { maxMessageBytes: 64 });
  using newest = short.subscribe({ overflow: "drop-newest" });
  using strict = short.subscribe({ overflow: "end" });
  assertEquals(publishAll(publisher, ["a", "b".repeat(100), "c"]), [2, 0, 1]);
  assertEquals(await take(newest, 2), ["a", "c"]);
  assertEquals(await take(strict, 1), ["a"]);
  await assertRejects(() => strict.next(), TandemError);
});
