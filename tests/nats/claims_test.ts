/** Claims of nodes on several machines. Each node of this process has a memory of its own. */
import { assert, assertEquals } from "@std/assert";
import type { Claim, Node } from "../../src/node/main.ts";
import { FarGroup, newServer } from "../support/far_group.ts";
import { openLink } from "../../src/nats/link.ts";
import { networkOf } from "../../src/nats/nodes/network.ts";
import {
  afterEnd,
  assertRejectsCode,
  doomed,
  eventually,
  present,
  test,
} from "../support/harness.ts";
import { hasNats, type RawConnection, rawConnection } from "../support/nats.ts";
import { allSaid } from "../support/nats_limit.ts";
import { NatsProxy } from "../support/nats_proxy.ts";
import { type NatsServer, withJetStream } from "../support/nats_server.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

const bucket = "KV_tandem_-limits";

/** A server with JetStream of this test alone. */
function newStore(): Promise<NatsServer> {
  // Before the server goes.
  afterEnd(allSaid);
  return newServer(withJetStream);
}

/** The subjects of the bucket at which something is stored, with the number of messages. */
async function subjectsOf(raw: RawConnection, filter: string): Promise<string[]> {
  const { state } = await raw.ask<{ state: { subjects?: Record<string, number> } }>(
    `STREAM.INFO.${bucket}`,
    { subjects_filter: filter },
  );
  return Object.keys(state.subjects ?? {});
}

/** Claims a key as soon as it is free. */
async function claimed(node: Node, key = "leader"): Promise<Claim> {
  let claim: Claim | null = null;
  await eventually(async () => (claim ??= await node.registry.claim("roles", key, null)) !== null);
  return claim!;
}

test("NATS claims: one is the only one on all machines, and its token grows", async () => {
  // Before the server goes.
  afterEnd(allSaid);
  const server = await newServer(withJetStream);
  const leases = new Set<string>();
  const raw = await rawConnection(server.address);
  raw.connection.subscribe("$KV.>", {
    callback: (_, { headers }) => void leases.add(headers?.get("Nats-TTL") ?? ""),
  });
  await raw.flush();
  await using group = new FarGroup(server.address);
  const lease = 20_000;
  const [a, b] = [await group.start("a", { lease }), await group.start("b", { lease })];
  const { registry } = b;
  const first = (await a.registry.claim("roles", "leader", "a"))!;
  assertEquals(await registry.claim("roles", "leader", "b"), null);
  assertEquals(await a.registry.claim("roles", "leader", "a"), null);
  await eventually(async () => (await registry.get("roles")).get("leader")?.value === "a");
  const other = await registry.claim("roles", "other", null);
  assert(other);
  assert(leases.has("20s"), [...leases].join());
  first.release();
  // The release takes a moment on its way.
  let second = await registry.claim("roles", "leader", "b");
  await eventually(async () => (second ??= await registry.claim("roles", "leader", "b")) !== null);
  assert(second!.token > first.token);
  assertEquals([second!.isHeld, second!.signal.aborted], [true, false]);
  await b.close();
  assertEquals(second!.signal.aborted, true);
  await eventually(async () => await a.registry.claim("roles", "other", null) !== null);
}, { skip });

test("NATS claims: a node has one lease for all, and leaves nothing behind", async () => {
  const server = await newStore();
  const raw = await rawConnection(server.address);
  await using group = new FarGroup(server.address);
  const [a, b] = [await group.start("a"), await group.start("b")];
  const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
  const claims = await Promise.all(keys.map((key) => a.registry.claim("roles", key, null)));
  for (const claim of claims) present(claim);
  assertEquals(await b.registry.claim("roles", keys[0]!, null), null);
  const leases = () => subjectsOf(raw, "$KV.*.*.lease.>");
  // The second one is that of who has asked in vain.
  assertEquals((await leases()).length, 2);
  assertEquals((await subjectsOf(raw, "$KV.*.*.owner")).length, keys.length);
  const tokens = claims.map((claim) => claim!.token);
  assertEquals(new Set(tokens).size, keys.length);
  for (const claim of claims) claim!.release();
  const others = await Promise.all(keys.map((key) => claimed(b, key)));
  for (const [index, { token }] of others.entries()) assert(token > tokens[index]!);
  await b.close();
  await a.close();
  await allSaid();
  // What is left says that it was removed, and goes.
  for (const subject of [...await leases(), ...await subjectsOf(raw, "$KV.*.*.owner")]) {
    const { message } = await raw.ask<{ message: { hdrs?: string } }>(`STREAM.MSG.GET.${bucket}`, {
      last_by_subj: subject,
    });
    const headers = atob(message.hdrs ?? "");
    assert(headers.includes("KV-Operation: DEL") && headers.includes("Nats-TTL: 60s"), headers);
  }
}, { skip });

test("NATS claims: whose lease is over has lost all, and later tokens are greater", async () => {
  const server = await newStore();
  await using proxy = await NatsProxy.start(server.port);
  await using group = new FarGroup(server.address);
  const a = await group.start("a", { network: `nats://${proxy.address}`, lease: 1_000 });
  const b = await group.start("b", { lease: 1_000 });
  const [first, second] = [await claimed(a), await claimed(a, "other")];
  const { signal } = first;
  assertEquals(await b.registry.claim("roles", "leader", null), null);
  // Nothing that it says arrives, as if it stood still.
  proxy.hold();
  const next = await claimed(b);
  assert(next.token > first.token);
  // Its own clock is first.
  assertEquals([first.isHeld, second.isHeld, signal.aborted], [false, false, true]);
  assertEquals(signal.reason.code, "CANCELLED");
  proxy.release();
  assertEquals(next.isHeld, true);
  next.release();
  const again = await claimed(a);
  assert(again.token > next.token);
  assertEquals(again.isHeld, true);
}, { skip });

test(
  "NATS claims: a claim that loses its lease ends by itself, and can be taken again",
  async () => {
    const server = await newStore();
    await using proxy = await NatsProxy.start(server.port);
    await using group = new FarGroup(server.address);
    const a = await group.start("a", { network: `nats://${proxy.address}`, lease: 1_000 });
    const b = await group.start("b", { lease: 1_000 });
    const first = await claimed(a);
    const isShown = (node: Node) => node.registry.get("roles").then(({ size }) => size > 0);
    await eventually(() => isShown(b));
    proxy.hold();
    await eventually(async () => !await isShown(a), "its clock says that its lease is over");
    proxy.release();
    await eventually(async () => !await isShown(b), "the other node hears of that");
    const again = await claimed(a);
    assertEquals([first.isHeld, again.isHeld], [false, true]);
  },
  { skip },
);

test("NATS claims: who hears that a claim is given back gets it at once", async () => {
  const server = await newStore();
  await using group = new FarGroup(server.address);
  const [a, b] = [await group.start("a"), await group.start("b")];
  // It knows the bucket, and has a lease.
  await claimed(b, "another");
  for (let round = 0; round < 20; round++) {
    const claim = await claimed(a);
    await eventually(async () => (await b.registry.keys("roles")).includes("leader"));
    const taken = Promise.withResolvers<Claim | null>();
    const watch = b.registry.watch("roles", ({ deleted }) => {
      if (deleted.length > 0) {
        b.registry.claim("roles", "leader", null).then(taken.resolve, taken.reject);
      }
    });
    claim.release();
    const next = await taken.promise;
    watch[Symbol.dispose]();
    assert(next, `round ${round}`);
    next.release();
    await eventually(async () => !(await a.registry.keys("roles")).includes("leader"));
  }
}, { skip });

test(
  "NATS claims: a node closes while it claims: the claim ends, and so does its connection",
  async () => {
    const server = await newStore();
    await using group = new FarGroup(server.address);
    const nats = { name: "closing" };
    const isConnected = () => {
      const link = openLink(networkOf(`nats://${server.address}`, group.name, nats).link);
      link?.release();
      return link !== null;
    };
    for (const isSilent of [false, true]) {
      const node = await group.start(`silent-${isSilent}`, { nats });
      if (isSilent) await claimed(node, "warm");
      assert(isConnected());
      if (isSilent) server.tell("STOP");
      const claim = doomed(node.registry.claim("roles", "leader", null));
      await node.close();
      await assertRejectsCode(claim, "CLOSED");
      server.tell("CONT");
      await eventually(() => !isConnected());
    }
  },
  { skip },
);

test("NATS claims: whoever removes its record ends a claim", async () => {
  const server = await newStore();
  const raw = await rawConnection(server.address);
  await using group = new FarGroup(server.address);
  const a = await group.start("a", { lease: 1_000 });
  const [claim, other] = [await claimed(a), await claimed(a, "other")];
  const { signal } = claim;
  const places = await subjectsOf(raw, "$KV.*.*.owner");
  const tokens = await Promise.all(places.map(async (subject) => {
    const { message } = await raw.ask<{ message: { seq: number } }>(`STREAM.MSG.GET.${bucket}`, {
      last_by_subj: subject,
    });
    return { subject, sequence: message.seq };
  }));
  const [place] = tokens.toSorted((one, two) => one.sequence - two.sequence);
  await raw.ask(`STREAM.PURGE.${bucket}`, { filter: place!.subject });
  await eventually(() => signal.aborted, "it hears of that");
  assertEquals([claim.isHeld, signal.reason.code, other.isHeld], [false, "CANCELLED", true]);
  assert((await claimed(a)).token > claim.token);
}, { skip });

test("NATS claims: a bucket that is removed takes them along, and tokens go on", async () => {
  const server = await newStore();
  const raw = await rawConnection(server.address);
  await using group = new FarGroup(server.address);
  const [a, b] = [
    await group.start("a", { lease: 1_000 }),
    await group.start("b", { lease: 1_000 }),
  ];
  const claim = await claimed(a);
  const { signal } = claim;
  await raw.ask(`STREAM.DELETE.${bucket}`);
  const next = await claimed(b);
  assert(next.token > claim.token);
  await eventually(() => signal.aborted, "it hears of that");
  assertEquals([claim.isHeld, next.isHeld], [false, true]);
  next.release();
  assert((await claimed(a)).token > next.token);
}, { skip });

test("NATS claims: a bucket that was made again unnoticed gives no smaller token", async () => {
  const server = await newStore();
  const raw = await rawConnection(server.address);
  await using group = new FarGroup(server.address);
  // It renews its lease once in a while, and knows nothing until then.
  const [a, b] = [await group.start("a", { lease: 600_000 }), await group.start("b")];
  const old = await claimed(a, "old");
  await raw.ask(`STREAM.DELETE.${bucket}`);
  const first = await claimed(b);
  first.release();
  const next = await claimed(a);
  assert(next.token > first.token, `${next.token} after ${first.token}`);
  assertEquals(await b.registry.claim("roles", "leader", null), null);
  assertEquals([old.isHeld, next.isHeld], [false, true]);
}, { skip });

/** Claims a key and gives it back, over a way on which one message is lost, and lets another node claim it then. */
async function claimWithout(
  group: FarGroup,
  server: NatsServer,
  other: Node,
  lost: number,
): Promise<{ isClaimed: boolean; seen: number }> {
  await using proxy = await NatsProxy.start(server.port);
  // No heartbeat among the messages.
  const heartbeat = { interval: 60_000, timeout: 600_000 };
  const name = `without-${lost}`;
  const network = `nats://${proxy.address}`;
  const node = await group.start(name, { heartbeat, network, nats: { name } });
  const key = (what: string) => `${what} ${name}`;
  // It has a lease, and knows the bucket.
  const first = await claimed(node, key("first"));
  proxy.seen = 0;
  proxy.lost = lost;
  const claim = await node.registry.claim("roles", key("second"), null);
  const isClaimed = claim?.isHeld === true;
  claim?.release();
  await claimed(other, key("second"));
  const { seen } = proxy;
  proxy.lost = 0;
  assertEquals(first.isHeld, true);
  await node.close();
  await claimed(other, key("first"));
  return { isClaimed, seen };
}

test("NATS claims: each single message is lost once: no key is lost with it", async () => {
  const server = await newStore();
  await using group = new FarGroup(server.address);
  const other = await group.start("other");
  const { isClaimed, seen } = await claimWithout(group, server, other, 0);
  assert(isClaimed && seen >= 4, `${seen} messages`);
  const outcomes = await Promise.all(
    Array.from({ length: seen }, (_, index) => claimWithout(group, server, other, index + 1)),
  );
  assertEquals(outcomes.map(({ isClaimed }) => isClaimed), outcomes.map(() => true));
}, { skip });

test(
  "NATS claims: a record that nobody can read is CORRUPT, one of a newer version INCOMPATIBLE",
  async () => {
    const server = await newStore();
    const raw = await rawConnection(server.address);
    await using group = new FarGroup(server.address);
    const a = await group.start("a", { lease: 1_000 });
    const records = [
      ["{", "CORRUPT"],
      ["null", "CORRUPT"],
      ['{"version":1,"id":"x","lease":"a.b"}', "CORRUPT"],
      ['{"version":2}', "INCOMPATIBLE"],
    ] as const;
    for (const [index, [text, code]] of records.entries()) {
      const claim = await claimed(a, `key ${index}`);
      const { signal } = claim;
      const [place] = await subjectsOf(raw, "$KV.*.*.owner");
      raw.publish(place!, new TextEncoder().encode(text));
      await raw.flush();
      await eventually(() => signal.aborted, "it is lost");
      await assertRejectsCode(a.registry.claim("roles", `key ${index}`, null), code, place!);
      await raw.ask(`STREAM.PURGE.${bucket}`, { filter: place! });
      (await claimed(a, `key ${index}`)).release();
      await allSaid();
      await raw.ask(`STREAM.PURGE.${bucket}`, { filter: place! });
    }
  },
  { skip },
);
