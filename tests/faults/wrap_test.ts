/**
 * Numbers that cross a border, as every runtime sees them: ids as a bigint and as two words, sequences
 * of calls, deaths. native/proof/ageing.zig ages a channel before it is opened.
 *
 * Elsewhere: each field by itself across each of its borders, and at its end (native/proof/wrap_test.zig).
 */
import { assert, assertEquals } from "@std/assert";
import { Client, Server } from "../../mod.ts";
import {
  assertThrowsCode,
  type Child,
  eventually,
  newTarget,
  pairs,
  present,
  type Runtime,
  settled,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { size, tried } from "./size.ts";
import { type Age, makeOld } from "./test_library.ts";

/** How far below its border a number starts. */
const margin = 3n;

function below(border: bigint): bigint {
  return BigInt.asUintN(64, border - margin);
}

const lastGeneration = 2n ** 46n - 1n;

/**
 * All numbers of a channel just below one border; those whose fields are narrower are just below one of
 * their own.
 */
const ages: Readonly<Record<string, Required<Age>>> = {
  "2^31": sameFor(2n ** 31n),
  "2^32": sameFor(2n ** 32n),
  "2^53": {
    ...sameFor(2n ** 53n),
    // At the sign of the high word, if that had 14 bits.
    generation: below(2n ** 45n),
    epoch: below(2n ** 49n),
  },
  "2^63": {
    ...sameFor(2n ** 63n),
    generation: below(2n ** 33n),
    epoch: below(2n ** 33n),
  },
  "their own": {
    // The part that an entry of the ring keeps.
    generation: below(2n ** 14n),
    // Where the laps start again from zero.
    position: below(2n ** 40n),
    epoch: below(2n ** 48n),
    waitNumber: below(2n ** 62n),
    notifyNumber: below(2n ** 29n),
    joins: below(2n ** 64n),
  },
  "what a futex compares": { ...sameFor(2n ** 30n), position: below(2n ** 64n) },
};

function sameFor(border: bigint): Required<Age> {
  const number = below(border);
  return {
    generation: number,
    position: number,
    epoch: number,
    waitNumber: number,
    notifyNumber: number,
    joins: number,
  };
}

/** A channel that no process has open. */
function makeChannel(age: Age, slots: number): string {
  const target = newTarget();
  Server.create(target, { slots, maxDeliveries: 2 }).close();
  makeOld(target, age);
  return target;
}

function generationOf(id: bigint): bigint {
  return id >> 16n;
}

for (const [pair, { server, client, title }] of pairs.entries()) {
  // All of them in every pair, or each of them in one.
  const borders = Object.entries(ages).filter((_, index) =>
    index % size(pairs.length, 1) === pair % size(pairs.length, 1)
  );
  test(`${title}: calls and deaths go on when numbers cross every border`, async () => {
    for (const [border, age] of borders) {
      const target = makeChannel(age, 2);
      using own = Client.open(target);
      // Two lives and two deaths of a server, so that epochs cross as well.
      for (const form of ["serve", "sync"] as const) {
        await liveWithServer(own, target, server, client, form, border);
      }
      const { serverDeaths, redelivered, inFlight } = own.stats();
      assertEquals({ serverDeaths, redelivered, inFlight }, {
        serverDeaths: 4,
        redelivered: 2,
        inFlight: 0,
      });
      using watcher = Server.open(target);
      const call = present(own.trySend("x"));
      assert(generationOf(call.id) > age.generation + margin, `${border} was crossed`);
      present(watcher.tryReceive()).reply();
    }
    tried(borders.length, `borders: ${borders.map(([border]) => border).join(", ")}`);
  }, { timeout: 600_000 });
}

async function liveWithServer(
  own: Client,
  target: string,
  server: Runtime,
  client: Runtime,
  form: "serve" | "sync",
  border: string,
): Promise<void> {
  const first = await startServer(server, target, form);
  const calling: Child = await startClient(client, target, form === "sync" ? "sync" : "promise");
  assertEquals(await calling.ask({ op: "burst", count: 20 }), { count: 20 }, border);
  // Asleep in between.
  for (let round = 0; round < 2; round++) {
    await Promise.all([settled(first), settled(calling)]);
    assertEquals(await calling.ask({ op: "request", payload: "x" }), { text: "x" }, border);
  }
  calling.send({ op: "request", payload: "hold-once" });
  await first.expect("holding 1");
  const second = await startServer(server, target, form);
  await settled(second);
  await first.killed();
  assertEquals(await calling.message(), { text: "delivery 2" }, border);
  await second.killed();
  // The client dies with requests that no server has taken, and its slots come back.
  assertEquals(await calling.ask({ op: "fill", payload: "x" }), { count: 2 });
  await calling.killed();
  await eventually(() => {
    using call = own.trySend("x");
    return call;
  }, "slots come back");
}

for (const [border, age] of Object.entries(ages)) {
  test(`ids go on across ${border}`, async () => {
    const target = makeChannel(age, 1);
    using server = Server.open(target);
    using client = Client.open(target);
    using other = Client.open(target);
    let last = -1n;
    const check = (id: bigint, expected: bigint) => {
      assertEquals(generationOf(id), expected);
      assert(id > last, `${id} after ${last}`);
      last = id;
    };
    let next = age.generation;
    const send = () => {
      next += 1n;
      const call = present(client.trySend("x"));
      check(call.id, next);
      return call;
    };
    const stale: bigint[] = [];
    for (let round = 0; round < 3; round++) {
      // Answered by id, as a server sees it.
      const answered = send();
      const request = present(server.tryReceive());
      assertEquals(request.id, answered.id);
      for (const id of stale) assertEquals(server.reply(id, "late"), false);
      assertEquals(server.reply(request.id, "y"), true);
      assertEquals(text(present(answered.tryGet())), "y");
      assertThrowsCode(() => answered.tryGet(), "CANCELLED");

      // Cancelled by its id from elsewhere; ids of earlier calls in the slot end nothing.
      const queued = send();
      for (const id of stale) assertEquals(other.cancel(id), false);
      assertEquals(other.cancel(queued.id), true);
      assertThrowsCode(() => queued.tryGet(), "CANCELLED");
      assertEquals(server.tryReceive(), null);

      // In a promise, and answered after it was given up.
      const given = send();
      const held = present(server.tryReceive());
      assertEquals(given.cancel(), true);
      assertEquals(held.reply("too late"), false);
      next += 1n;
      const promise = client.request("z");
      const taken = present(await server.receive());
      check(taken.id, next);
      taken.reply(taken.bytes);
      assertEquals(text(await promise), "z");
      stale.push(answered.id, queued.id, given.id, taken.id);
    }
    assertEquals([client.pending, server.stats().inFlight], [0, 0]);
  });
}

test("after the last id of a channel: BUSY, and no id comes back", async () => {
  const target = makeChannel({ generation: lastGeneration - 2n }, 2);
  using server = Server.open(target);
  using client = Client.open(target);
  const ids: bigint[] = [];
  for (let count = 0; count < 4; count++) {
    const call = present(client.trySend("x"));
    ids.push(call.id);
    const request = present(server.tryReceive());
    assertEquals(request.id, call.id);
    request.reply("y");
    assertEquals(text(call.getSync()), "y");
  }
  assertEquals(new Set(ids).size, 4);
  assertEquals(ids.filter((id) => generationOf(id) === lastGeneration).length, 2);
  // No id comes back: every slot counts as taken.
  assertEquals(client.trySend("x"), null);
  assertThrowsCode(() => client.sendSync("x", { timeout: 20 }), "BUSY");
  assertThrowsCode(() => client.allocate(1), "BUSY");
  const error = await client.request("x", { timeout: 20 }).catch((error) => error);
  assertEquals(error.code, "BUSY");
  assertEquals(server.stats().inFlight, 0);
});
