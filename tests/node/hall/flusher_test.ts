/** When the outlets of a node are flushed, with outlets that are made up. */
import { assertEquals } from "@std/assert";
import { Flusher } from "../../../src/node/hall/flusher.ts";
import type { Outlet } from "../../../src/node/hall/outlet.ts";
import { test } from "../../support/harness.ts";

/** Notes its flushes. */
function outlets(count: number): { flushed: number[]; outlets: Outlet[] } {
  const flushed: number[] = [];
  const made = Array.from({ length: count }, (_, index) => ({ flush: () => flushed.push(index) }));
  return { flushed, outlets: made as unknown as Outlet[] };
}

/** Until all microtasks have run. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

test("a flusher flushes at the end of the microtasks", async () => {
  const { flushed, outlets: [first, second] } = outlets(2);
  const flusher = new Flusher();
  flusher.flushLater(first!);
  flusher.flushLater(second!);
  assertEquals(flushed, []);
  await turn();
  assertEquals(flushed, [0, 1]);
});

test("a flusher gives way to microtasks that go on sending", async () => {
  const { flushed, outlets: [outlet] } = outlets(1);
  const flusher = new Flusher();
  flusher.flushLater(outlet!);
  for (let sent = 0; sent < 10; sent++) {
    assertEquals(flushed, []);
    flusher.appended += 1;
    await Promise.resolve();
  }
  await turn();
  assertEquals(flushed, [0]);
});

test("a flusher flushes all outlets when it is told to, and none of them again", async () => {
  const { flushed, outlets: [first, second] } = outlets(2);
  const flusher = new Flusher();
  flusher.flushLater(first!);
  flusher.flushLater(second!);
  flusher.flushAll();
  assertEquals(flushed, [0, 1]);
  await turn();
  assertEquals(flushed, [0, 1]);
  // And goes on as before.
  flusher.flushLater(second!);
  await turn();
  assertEquals(flushed, [0, 1, 1]);
});

test("a flusher that was paused flushes one outlet when it resumes, and the others at the end", async () => {
  const { flushed, outlets: [first, second] } = outlets(2);
  const flusher = new Flusher();
  flusher.pause();
  flusher.flushLater(first!);
  flusher.flushLater(second!);
  flusher.resume(first!);
  assertEquals(flushed, [0]);
  await turn();
  assertEquals(flushed, [0, 1]);
});

test("a flusher that was paused flushes no outlet to which nothing was appended", async () => {
  const { flushed, outlets: [first, second] } = outlets(2);
  const flusher = new Flusher();
  flusher.pause();
  flusher.resume(first!);
  flusher.pause();
  flusher.flushLater(second!);
  flusher.resume(null);
  assertEquals(flushed, []);
  await turn();
  assertEquals(flushed, [1]);
});

test("an outlet that is appended to while the flusher flushes has a flush of its own", async () => {
  const flusher = new Flusher();
  let flushes = 0;
  const outlet = {
    flush: () => {
      flushes += 1;
      if (flushes === 1) flusher.flushLater(outlet);
    },
  } as unknown as Outlet;
  flusher.flushLater(outlet);
  flusher.flushAll();
  assertEquals(flushes, 1);
  await turn();
  assertEquals(flushes, 2);
});
