/** Handles and calls leave nothing behind: descriptors, mappings, slots, memory. */
import { assert, assertEquals } from "@std/assert";
import { existsSync, readdirSync } from "node:fs";
import process from "node:process";
import { Client, Server } from "../../mod.ts";
import {
  type Child,
  eventually,
  folder,
  newTarget,
  ownRuntime,
  pairs,
  processState,
  type Runtime,
  spawn,
  startClient,
  startServer,
  test,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

const memoryLimit = 8 * 1024 * 1024;

/** A process that collects garbage on command. */
async function startChurn(runtime: Runtime, args: readonly string[]): Promise<Child> {
  const child = await spawn(runtime, "churn.ts", args, {
    denoPermissions: ["--allow-ffi", "--v8-flags=--expose-gc"],
  });
  await child.expect("ready");
  return child;
}

async function run(child: Child, count: number): Promise<void> {
  child.send(`run ${count}`);
  await child.expect(`done ${count}`);
}

interface Belongings {
  readonly descriptors: number;
  readonly mappings: number;
  /** The number of mappings of channels. */
  readonly channelMappings: number;
  readonly residentBytes: number;
}

/** The resources of a process after a garbage collection. */
async function belongings(child: Child): Promise<Belongings> {
  child.send("collect");
  await child.expect("collected");
  const { descriptors, mappings, residentBytes } = processState(child.pid);
  const channelMappings = mappings.filter((line) => line.includes(folder())).length;
  return { descriptors, mappings: mappings.length, channelMappings, residentBytes };
}

/** Asserts that descriptors and mappings are where they were. */
function assertSame(after: Belongings, before: Belongings): void {
  assertEquals(after.channelMappings, before.channelMappings);
  // The runtimes open and map things for themselves: a thread, a part of the heap. A leak of each
  // call or handle would add thousands.
  const descriptors = after.descriptors - before.descriptors;
  assert(descriptors <= 4, `${before.descriptors} → ${after.descriptors} descriptors`);
  assert(after.mappings < before.mappings + 300, `${before.mappings} → ${after.mappings} mappings`);
}

/**
 * Repeats `round` until one adds no more than the limit to the memory of the process. V8 and the
 * allocator take more for themselves now and then and never give it back, but not time after time.
 */
async function memoryStays(
  child: Child,
  before: number,
  round: () => Promise<Belongings>,
): Promise<void> {
  const seen = [before];
  // V8 takes up to 80 MB for young objects, at once or in steps of 10 to 20 MB, and keeps that memory.
  const mostOfAll = 16 * memoryLimit;
  for (let rounds = 0; rounds < 10; rounds++) {
    const { residentBytes } = await round();
    seen.push(residentBytes);
    const isMuch = residentBytes - before > mostOfAll;
    if (!isMuch && residentBytes - seen.at(-2)! <= memoryLimit) return;
    if (isMuch) break;
  }
  const mebibytes = seen.map((bytes) => (bytes / 1024 / 1024).toFixed(1)).join(" → ");
  throw new Error(`${mebibytes} MiB in ${child.describe()}`);
}

for (const name of ownRuntime) {
  for (const what of ["open", "use", "connect", "fail"]) {
    test(`${name}: two thousand handles come and go (${what})`, async () => {
      const target = newTarget();
      using watcher = Server.create(target, { slots: 16 });
      const child = await startChurn(name, [target, what]);
      await run(child, 2000);
      const first = await belongings(child);
      assertEquals(first.channelMappings, 0);
      await memoryStays(child, first.residentBytes, async () => {
        await run(child, 2000);
        const after = await belongings(child);
        assertSame(after, first);
        return after;
      });
      const { clients, servers, inFlight } = watcher.stats();
      assertEquals({ clients, servers, inFlight }, { clients: 0, servers: 1, inFlight: 0 });
      child.send("end");
      await child.ended();
    }, { timeout: 600_000 });
  }
}

for (const { server, client, title } of pairs) {
  for (const form of ["sync", "promise"] as const) {
    test(`${title}: a second 100,000 calls leave no more than the first (${form})`, async () => {
      const target = newTarget();
      const serving = await startServer(server, target, form === "sync" ? "sync" : "serve", {
        slots: 64,
      });
      using watcher = Client.open(target);
      const calling = await startChurn(client, [target, form]);
      await run(calling, 100_000);
      const before = await belongings(calling);
      const servingBefore = processState(serving.pid);
      const first = watcher.stats();
      let calls = 0;
      await memoryStays(calling, before.residentBytes, async () => {
        await run(calling, 100_000);
        calls += 100_000;
        const after = await belongings(calling);
        assertSame(after, before);
        const { committedBytes, inFlight, requests } = watcher.stats();
        assertEquals(
          { committedBytes, inFlight, requests },
          { committedBytes: first.committedBytes, inFlight: 0, requests: first.requests + calls },
        );
        return after;
      });
      const servingAfter = processState(serving.pid);
      const descriptors = servingAfter.descriptors - servingBefore.descriptors;
      assert(descriptors <= 4, `${descriptors} more descriptors in the server`);
      // That process does not collect garbage on command, but only a leak of each call would be so large.
      const grown = servingAfter.residentBytes - servingBefore.residentBytes;
      assert(grown < 16 * memoryLimit, `${grown} bytes more in the server`);
    }, { timeout: 600_000 });
  }
}

test("cancelled and timed-out calls leave no slot taken", async () => {
  using pair = openPair({ slots: 8 });
  const { server, client } = pair;
  for (let round = 0; round < 5000; round++) {
    const call = client.trySend("x");
    assert(call, `no slot in round ${round}`);
    if (round % 3 === 0) {
      const request = server.tryReceive();
      call.cancel();
      request?.reply();
    } else if (round % 3 === 1) call.cancel();
    else call.release();
  }
  await Promise.allSettled(
    Array.from({ length: 200 }, () => client.request("x", { timeout: 5 })),
  );
  assertEquals(client.stats().inFlight, 0);
  assertEquals(client.pending, 0);
  // Every slot is there.
  const calls = Array.from({ length: 8 }, () => client.trySend("y"));
  assert(calls.every((call) => call !== null));
  for (const call of calls) call?.release();
});

test("huge messages give their memory back when the channel goes", async () => {
  const target = newTarget();
  const size = 8 << 20;
  const options = { slots: 4, maxRequestBytes: size, maxResponseBytes: size };
  const server = Server.create(target, options);
  const client = Client.open(target);
  const serving = server.serve((request) => request.bytes);
  const payload = new Uint8Array(size).fill(7);
  for (let round = 0; round < 3; round++) {
    const answers = Array.from({ length: 4 }, () => client.request(payload));
    for (const answer of await Promise.all(answers)) assertEquals(answer.length, size);
  }
  assert(server.stats().committedBytes <= server.stats().mappedBytes);
  client.close();
  server.close();
  await serving;
  Server.unlink(target);
  assertEquals(readdirSync(folder()), []);
  // No mapping of it is left in this process.
  assert(existsSync("/proc/self/maps"));
  const { mappings } = processState(process.pid);
  assertEquals(mappings.filter((line) => line.includes(target)), []);
});

for (const { server, client, title } of pairs) {
  test(`${title}: the memory of a burst of huge messages is given back while both are idle`, async () => {
    const target = newTarget();
    using watcher = Server.create(target, { slots: 8 });
    const before = watcher.stats().committedBytes;
    const serving = await startServer(server, target, "promise");
    const calling = await startClient(client, target, "promise");
    const payload = "x".repeat(900_000);
    for (let round = 0; round < 2; round++) {
      // It goes back after a second, perhaps before this process looks: then it looks after another burst.
      await eventually(async () => {
        const burst = await calling.ask({ op: "flood", payload, count: 6 });
        assertEquals(burst, { count: 6, errors: {} });
        return watcher.stats().committedBytes > before + 2 * payload.length;
      }, "the messages take memory");
      // 64 KiB of each area stay.
      await eventually(() => watcher.stats().committedBytes <= before + 8 * 2 * 65_536 + 65_536);
    }
    assert(serving.isRunning);
  });
}
