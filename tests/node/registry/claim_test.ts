/** Claims of one process: nodes that race for a key, and what ends a claim. */
import { assert, assertEquals } from "@std/assert";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TandemError } from "../../../mod.ts";
import { Limit } from "../../../src/limit/main.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  eventually,
  present,
  test,
} from "../../support/harness.ts";
import { limitFolder } from "../../support/locks.ts";
import { startNodes, turn, valuesOf, Watched } from "../../support/registries.ts";

test("one node has a claim at a time, and tokens grow", async () => {
  const { nodes, files } = await startNodes(3);
  let last = 0n;
  for (let round = 0; round < 30; round++) {
    const claims = await Promise.all(
      nodes.map((node) => node.registry.claim("roles", "leader", round)),
    );
    const held = claims.filter((claim) => claim !== null);
    assertEquals(held.length, 1);
    const [claim] = held;
    assert(claim!.token > last, `${claim!.token} after ${last}`);
    last = claim!.token;
    await turn();
    for (const node of nodes) assertEquals(await valuesOf(node, "roles"), { leader: round });
    assertEquals(claim!.isHeld, true);
    const { signal } = claim!;
    if (round % 2 === 0) assertEquals(claim!.release(), true);
    else nodes[claims.indexOf(claim!)]!.registry.delete("roles", "leader");
    assertEquals([claim!.release(), claim!.isHeld, signal.aborted], [false, false, true]);
    assertEquals(signal.reason.code, "CLOSED");
    await turn();
    for (const node of nodes) assertEquals(await valuesOf(node, "roles"), {});
  }
  // Only the count of the tokens stays.
  await eventually(() => files().every((name) => name.includes(".claims.limit")));
});

test("other keys, families and groups are other claims", async () => {
  const one = await startNodes(1);
  const other = await startNodes(1);
  const claims = [
    await one.nodes[0].registry.claim("f", "k", 1),
    await one.nodes[0].registry.claim("f", "K", 1),
    await one.nodes[0].registry.claim("F", "k", 1),
    await one.nodes[0].registry.claim(`f${"_".repeat(5_000)}:`, "k", 1),
    await one.nodes[0].registry.claim("f", `/../${"ä".repeat(5_000)}`, 1),
    await other.nodes[0].registry.claim("f", "k", 1),
  ];
  for (const claim of claims) present(claim);
  assertEquals(await one.nodes[0].registry.claim("f", "k", 1), null);
});

test("a claim takes the place of an entry, and is not replaced by one", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  const entry = a.registry.set("f", "k", "entry");
  b.registry.set("f", "k", "of another node");
  await turn();
  const watched = new Watched(b, "f");
  await watched.expect({ values: { k: "entry" }, added: ["k"] });
  const claim = present(await a.registry.claim("f", "k", "claim"));
  await watched.expect({ values: { k: "claim" }, changed: ["k"] });
  assertThrowsCode(() => a.registry.set("f", "k", 1), "EXISTS", "release the claim");
  entry[Symbol.dispose]();
  b.registry.set("f", "k", "hidden");
  await watched.quiet();
  claim[Symbol.dispose]();
  await watched.expect({ values: { k: "hidden" }, changed: ["k"] });
});

test("what refuses a claim leaves nothing behind", async () => {
  const { network, nodes: [a, b], files } = await startNodes(2);
  await assertRejectsCode(a.registry.claim("f", "k", () => {}), "NOT_SERIALIZABLE");
  const large = new Uint8Array(network.boards(a).maxBytes);
  await assertRejectsCode(a.registry.claim("f", "k", large), "TOO_LARGE");
  present(await b.registry.claim("f", "k", 1)).release();
  const counts = join(
    limitFolder(),
    present(files().find((name) => name.endsWith(".claims.limit"))),
  );
  rmSync(counts);
  writeFileSync(counts, "no count of tokens");
  const refused = await a.registry.claim("f", "k", 1).catch((error: unknown) => error);
  assert(refused instanceof TandemError);
  assertEquals(await valuesOf(a, "f"), {});
  assertEquals(files().filter((name) => !name.includes(".claims.limit")), []);
});

test("a closed node has no claims, and aborts their signals", async () => {
  const { nodes: [a, b] } = await startNodes(2);
  const claim = present(await a.registry.claim("f", "k", 1));
  const unasked = present(await a.registry.claim("f", "other", 1));
  const { signal } = claim;
  const seen: unknown[] = [];
  signal.addEventListener("abort", () => seen.push(signal.reason.code));
  await a.close();
  assertEquals(seen, ["CLOSED"]);
  assertEquals([claim.isHeld, unasked.isHeld, unasked.signal.aborted], [false, false, true]);
  for (const key of ["k", "other"]) present(await b.registry.claim("f", key, 2));
});

for (const isAsked of [true, false]) {
  test(`a claim whose lock is stolen ends${isAsked ? "" : ", also if nobody has asked for its signal"}`, async () => {
    const { nodes: [a, b], files } = await startNodes(2);
    const claim = present(await a.registry.claim("f", "k", "lost"));
    const { token } = claim;
    if (isAsked) void claim.signal;
    await turn();
    const name = present(
      files().find((name) => name.includes(".claim.f.") && name.endsWith(".limit")),
    );
    const limit = join(limitFolder(), name);
    using thief = new Limit(limit);
    thief.acquireSync({ steal: true })!.release();
    // Others may claim it before the old holder knows.
    const next = present(await b.registry.claim("f", "k", "next"));
    assert(next.token > token);
    await turn();
    if (isAsked) {
      // Waits with something that keeps the process alive.
      await eventually(() => claim.signal.aborted);
      assertEquals(claim.signal.reason.code, "CANCELLED");
    }
    assertEquals(await valuesOf(a, "f"), { k: "next" });
    await turn();
    assertEquals(await valuesOf(b, "f"), { k: "next" });
    assertEquals([claim.isHeld, claim.signal.aborted, next.isHeld], [false, true, true]);
    claim.release();
    assertEquals(next.isHeld, true, "only who holds a claim removes its file");
    next.release();
    await turn();
    for (const node of [a, b]) assertEquals(await valuesOf(node, "f"), {});
  });
}

test("a claim whose file is removed ends", async () => {
  const { nodes: [a, b], files } = await startNodes(2);
  const claim = present(await a.registry.claim("f", "k", "lost"));
  const { signal } = claim;
  for (const name of files()) {
    if (name.includes(".claim.f.")) rmSync(join(limitFolder(), name), { recursive: true });
  }
  const next = present(await b.registry.claim("f", "k", "next"));
  assert(next.token > claim.token);
  await eventually(() => signal.aborted);
  assertEquals(signal.reason.code, "NOT_FOUND");
  assertEquals(next.isHeld, true);
  await turn();
  assertEquals(await valuesOf(a, "f"), { k: "next" });
});
