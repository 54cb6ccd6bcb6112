/** One abort signal for many waits. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { Client, connect, serve, withOptions } from "../../mod.ts";
import { eventually, newTarget, test } from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

/** Counts the listeners of a signal. The runtimes search all of them for each change. */
class CountedSignal {
  readonly #controller = new AbortController();
  readonly signal: AbortSignal = this.#controller.signal;
  listeners = 0;
  most = 0;
  added = 0;

  constructor() {
    const { signal } = this;
    const { addEventListener, removeEventListener } = signal;
    const add: typeof addEventListener = (...args: Parameters<typeof addEventListener>) => {
      this.added += 1;
      this.listeners += 1;
      this.most = Math.max(this.most, this.listeners);
      addEventListener.apply(signal, args);
    };
    const remove: typeof removeEventListener = (
      ...args: Parameters<typeof removeEventListener>
    ) => {
      this.listeners -= 1;
      removeEventListener.apply(signal, args);
    };
    Object.assign(signal, { addEventListener: add, removeEventListener: remove });
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }
}

const many = 2_000;

test("typed calls at once with one signal: one listener, and none afterwards", async () => {
  const target = newTarget();
  const api = { add: (a: number, b: number) => a + b };
  await using service = serve(target, api);
  using remote = connect<typeof api>(target);
  const counted = new CountedSignal();
  const its = withOptions(remote, { signal: counted.signal });
  for (const repeat of [1, 2]) {
    const sums = await Promise.all(Array.from({ length: many }, (_, n) => its.add(n, repeat)));
    assertEquals(sums[many - 1], many - 1 + repeat);
    assertEquals([counted.most, counted.listeners], [1, 0]);
  }
  void service;
});

test("an abort ends all calls of a signal, in the order in which they were made", async () => {
  const target = newTarget();
  const api = { never: () => new Promise<void>(() => {}) };
  const service = serve(target, api);
  using remote = connect<typeof api>(target);
  using absent = connect<typeof api>(newTarget());
  const counted = new CountedSignal();
  const [its, waits] = [remote, absent].map((of) => withOptions(of, { signal: counted.signal }));
  const order: number[] = [];
  const calls = Array.from(
    { length: 300 },
    (_, n) =>
      (n % 3 === 2 ? waits! : its!).never().catch((error: unknown) => {
        if (n % 3 !== 2) order.push(n);
        return error;
      }),
  );
  await eventually(() => service.stats().inFlight > 0);
  const reason = { why: "enough" };
  counted.abort(reason);
  for (const error of await Promise.all(calls)) assertStrictEquals(error, reason);
  assertEquals(order, order.toSorted((a, b) => a - b));
  assertEquals(counted.most, 1);
  await service.close({ timeout: 0 });
});

test("raw waits of every kind with one signal: one listener, and none afterwards", async () => {
  using pair = openPair({ slots: 8 });
  const { server, client } = pair;
  const counted = new CountedSignal();
  const { signal } = counted;
  const receiving = Array.from({ length: 50 }, () => server.receive({ signal, timeout: 5 }));
  assertEquals(await Promise.all(receiving), Array(50).fill(null));
  assertEquals(counted.listeners, 0);
  const answers = Array.from({ length: 100 }, (_, n) => client.request(`${n}`, { signal }));
  for (let taken = 0; taken < 100; taken++) (await server.receive({ signal }))!.reply("x");
  await Promise.all(answers);
  assertEquals([counted.most, counted.listeners], [1, 0]);
  const serving = server.serve(() => "y", { signal });
  const connecting = Client.connect(newTarget(), { signal });
  const sent = Array.from({ length: 20 }, () => client.request("z", { signal }));
  await Promise.all(sent);
  assertEquals(counted.most, 1);
  const stopped = connecting.catch((error: unknown) => error);
  counted.abort("stop");
  await serving;
  assertEquals(await stopped, "stop");
});

test("streams with one signal: one listener, and none afterwards", async () => {
  const target = newTarget();
  const api = {
    *items() {
      for (let item = 0; item < 20; item++) yield item;
    },
    long: (bytes: Uint8Array) => bytes.byteLength,
  };
  await using service = serve(target, api, { maxRequestBytes: 4_096 });
  using remote = connect<typeof api>(target);
  const counted = new CountedSignal();
  const its = withOptions(remote, { signal: counted.signal });
  const sums = await Promise.all(Array.from({ length: 30 }, async () => {
    let sum = 0;
    for await (const item of its.items()) sum += item;
    return sum + await its.long(new Uint8Array(100_000));
  }));
  assertEquals(new Set(sums), new Set([100_190]));
  assertEquals([counted.most, counted.listeners], [1, 0]);
  void service;
});

test("time for calls with one signal grows as their number does", async () => {
  const target = newTarget();
  const api = { add: (a: number, b: number) => a + b };
  await using service = serve(target, api);
  using remote = connect<typeof api>(target);
  const its = withOptions(remote, { signal: new AbortController().signal });
  const take = async (count: number): Promise<number> => {
    const began = performance.now();
    await Promise.all(Array.from({ length: count }, (_, n) => its.add(n, 1)));
    return performance.now() - began;
  };
  await take(4_000);
  // The best of several, because the machine is busy. Quadratic growth would give 16 or more.
  const ratios: number[] = [];
  while (ratios.length < 5 && !ratios.some((ratio) => ratio < 8)) {
    const few = await take(5_000);
    ratios.push(await take(20_000) / few);
  }
  assert(Math.min(...ratios) < 8, `four times as many take ${ratios} times as long`);
  void service;
});
