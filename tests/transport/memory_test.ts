/** Peculiarities of the memory transport. The conformance suite in `../rpc` covers the rest. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { connect, serve, Server, type TandemError, withOptions } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  atEnd,
  doomed,
  eventually,
  test,
} from "../support/harness.ts";
import { collect } from "../support/rpc_helper.ts";

let targets = 0;

function newTarget(): string {
  targets += 1;
  return `memory:own-${targets}`;
}

const hanging = {
  hang: () => new Promise<string>(() => {}),
  ping: () => "pong",
};

test("memory transport: two names are two targets", async () => {
  const [one, two] = [newTarget(), newTarget()];
  await using first = serve(one, { name: () => "one" });
  await using second = serve(two, { name: () => "two" });
  using remote = connect<{ name(): string }>(two);
  assertEquals(await remote.name(), "two");
  assertEquals([first.path, second.path], [one, two]);
});

test("memory transport: an impossible name is a TypeError, as with a channel", () => {
  for (const name of ["memory:", "memory:a b", "memory:/x", `memory:${"x".repeat(65)}`]) {
    assertThrows(() => serve(name, hanging), TypeError, "letters");
  }
});

test("memory transport: a call names the target that nothing serves", async () => {
  const target = newTarget();
  using remote = connect<typeof hanging>(target, { timeout: 20 });
  await assertRejectsCode(remote.ping(), "NO_SERVER", target);
});

test("memory transport: without a free slot a call waits, then fails with BUSY", async () => {
  const target = newTarget();
  const service = serve(target, hanging, { slots: 1 });
  atEnd(() => service.close({ timeout: 0 }));
  const remote = connect<typeof hanging>(target);
  const first = doomed(remote.hang());
  await eventually(() => service.stats().inFlight === 1);
  await assertRejectsCode(withOptions(remote, { timeout: 20 }).ping(), "BUSY", "slots");
  const waiting = remote.ping();
  remote[Symbol.dispose]();
  await assertRejectsCode(first, "CLOSED");
  await assertRejectsCode(waiting, "CLOSED");
});

test("memory transport: a free slot goes to the call that has waited the longest", async () => {
  const target = newTarget();
  const order: number[] = [];
  await using service = serve(target, (number: number) => void order.push(number), { slots: 1 });
  using remote = connect<(number: number) => void>(target);
  await Promise.all(Array.from({ length: 20 }, (_, number) => remote(number)));
  assertEquals(order, [...order.keys()]);
  assertEquals(service.stats().inFlight, 0);
});

test("memory transport: two services share the calls, and one goes on when the other closes", async () => {
  const target = newTarget();
  const counts = [0, 0];
  const services = counts.map((_, index) => serve(target, () => void (counts[index]! += 1)));
  using remote = connect<() => void>(target);
  await Promise.all(Array.from({ length: 20 }, () => remote()));
  assertEquals(counts, [10, 10]);
  await services[0]!.close();
  await remote();
  assertEquals(counts, [10, 11]);
  await services[1]!.close();
});

test("memory transport: a service that closes hands an idempotent call on, and fails another one", async () => {
  const target = newTarget();
  const options = { maxDeliveries: 2, idempotent: ["hang"] };
  const first = serve(target, { hang: hanging.hang, once: hanging.hang }, options);
  using remote = connect<{ hang(): string; once(): string }>(target);
  const handedOn = remote.hang();
  const failed = doomed(remote.once());
  await eventually(() => first.stats().inFlight === 2 && first.stats().queued === 0);
  await using second = serve(target, { hang: () => "second", once: () => "second" }, options);
  await first.close({ timeout: 0 });
  assertEquals(await handedOn, "second");
  await assertRejectsCode(failed, "SERVER_DIED");
  assertEquals(second.stats().redelivered, 1);
});

test("memory transport: calls wait for a service while a connection keeps the target", async () => {
  const target = newTarget();
  const first = serve(target, hanging);
  using remote = connect<typeof hanging>(target);
  assertEquals(await remote.ping(), "pong");
  await first.close();
  const waiting = remote.ping();
  await using second = serve(target, { ...hanging, ping: () => "again" });
  assertEquals(await waiting, "again");
  void second;
});

test("memory transport: options that differ are MISMATCH, and may change once the target is unused", async () => {
  const target = newTarget();
  {
    await using service = serve(target, hanging, { slots: 4 });
    assertThrowsCode(() => serve(target, hanging, { slots: 5 }), "MISMATCH", "slots 4", "5");
    assertThrows(() => serve(target, hanging, { slots: 0 }), RangeError);
    void service;
  }
  await using service = serve(target, hanging, { slots: 5 });
  assertEquals(service.stats().slots, 5);
});

test("memory transport: unlinking ends the other services, and the name is free", async () => {
  const target = newTarget();
  const [first, second] = [serve(target, hanging), serve(target, hanging)];
  using remote = connect<typeof hanging>(target, { timeout: 30_000 });
  await remote.ping();
  assertEquals([first.unlink(), first.unlink()], [true, false]);
  await assertRejectsCode(second.finished, "NOT_FOUND");
  await first.close();
  await first.finished;
  await using third = serve(target, { ...hanging, ping: () => "third" });
  assertEquals(await remote.ping(), "third");
  void third;
});

test("memory transport: a service that closes ends the streams that are read from it", async () => {
  const target = newTarget();
  const api = {
    async *numbers() {
      for (let number = 0;; number++) yield number;
    },
  };
  const service = serve(target, api);
  using remote = connect<typeof api>(target);
  const stream = remote.numbers();
  await stream.next();
  await service.close();
  const error = await stream.next().then(() => null, (error: TandemError) => error);
  assert(error && ["SERVER_DIED", "CANCELLED"].includes(error.code), String(error));
});

test("memory transport: a thousand streams in turn leave nothing in flight", async () => {
  const target = newTarget();
  const api = {
    *pair() {
      yield 1;
      yield 2;
    },
  };
  await using service = serve(target, api);
  using remote = connect<typeof api>(target);
  for (let round = 0; round < 1_000; round++) {
    assertEquals(await collect(remote.pair()), [1, 2]);
  }
  assertEquals(service.stats().inFlight, 0);
});

test("targets: the raw classes take no memory: target", async () => {
  // The raw classes are of channels alone, whose names have no colon.
  assertThrows(() => Server.open("memory:x"), TypeError);
  await Promise.resolve();
});
