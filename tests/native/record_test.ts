/** Records of workers, also damaged ones; titles and claims. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import process from "node:process";
import { Client } from "../../mod.ts";
import { ServerCore } from "../../src/channel/server_core.ts";
import { claim, startGuard } from "../../src/pool/link/guard.ts";
import { WorkerRecord } from "../../src/pool/link/record.ts";
import {
  assertThrowsCode,
  atEnd,
  eventually,
  newTarget,
  processState,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";

const empty = { calls: 0, failures: 0, ended: null, running: [] };

test("a new record is empty, and a closed one says what it said at last", () => {
  using record = WorkerRecord.create(3);
  assertEquals(record.read(), empty);
  assertEquals(record.condemn(0, 1, "hung"), false);
  assertEquals(record.condemn(3, 1, "hung"), false);
  assertEquals(record.condemn(2 ** 32 - 1, NaN, "timeout"), false);
  const { fd } = record;
  record.close();
  record.close();
  assertEquals(record.read(), empty);
  assertEquals(record.condemn(0, 1, "hung"), false);
  assert(!existsSync(`/proc/self/fd/${fd}`));
});

test("a record for no call, or for more than a channel has slots, is refused", () => {
  for (const concurrency of [0, -1, 1.5, NaN, 65_537]) {
    assertThrows(() => WorkerRecord.create(concurrency), RangeError);
  }
  using record = WorkerRecord.create(65_536);
  assertEquals(record.read(), empty);
});

test("a thousand records leave no descriptor and no memory", async () => {
  const before = processState(process.pid).descriptors;
  for (let count = 0; count < 1000; count++) WorkerRecord.create(1).close();
  // Other threads of the runtime open and close some at any time.
  await eventually(() => processState(process.pid).descriptors <= before);
});

/** Bytes that follow from a seed. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 | 0;
    return state >>> 24;
  });
}

test("whatever a worker writes there, its record can be read and condemned", () => {
  using record = WorkerRecord.create(5);
  const fd = openSync(`/proc/self/fd/${record.fd}`, "r+");
  for (let seed = 0; seed < 2000; seed++) {
    writeSync(fd, noise(4096, seed), 0, 4096, 0);
    const { calls, failures, ended, running } = record.read();
    assert(calls >= 0 && failures >= 0 && running.length <= 5);
    for (const { entry, sequence, method, since, id, condemned } of running) {
      assert(entry >= 0 && entry < 5 && Number.isInteger(entry));
      assert(Number.isSafeInteger(sequence) && Number.isInteger(method));
      assert(since <= Date.now() && Number.isFinite(since) && id >= 0n);
      const isRunning = condemned === null;
      assertEquals(record.condemn(entry, sequence, "timeout"), isRunning);
      assertEquals(record.condemn(entry, sequence, "hung"), false);
    }
    assertEquals(ended !== null, running.some(({ condemned }) => condemned !== null));
  }
  closeSync(fd);
});

for (const name of runtimes) {
  test(`${name}: while a process scribbles over a record, its supervisor reads it`, async () => {
    using record = WorkerRecord.create(5);
    const child = await spawn(name, "guarded.ts", ["scribble"], {
      inherit: [record.fd],
      denoPermissions: ["--allow-all"],
    });
    await child.expect("scribbling");
    let seen = 0;
    await eventually(() => {
      for (let count = 0; count < 2000; count++) {
        const { running } = record.read();
        assert(running.every(({ entry, since }) => entry < 5 && Number.isFinite(since)));
        for (const { entry, sequence } of running) record.condemn(entry, sequence, "hung");
        seen += running.length;
      }
      return seen > 1000;
    });
    assert(child.isRunning);
  });

  test(`${name}: a process shows its title, and keeps its arguments`, async () => {
    const title = "tandem hash 3 – täglich";
    const child = await spawn(name, "guarded.ts", ["title", title]);
    assertEquals(await child.message(), ["title", title]);
    assertEquals(readFileSync(`/proc/${child.pid}/cmdline`, "utf8"), `${title}\0`);
    assertEquals(readFileSync(`/proc/${child.pid}/comm`, "utf8"), "tandem hash 3 \n");
  });

  test(`${name}: one handle has the claim of a channel, until its process dies`, async () => {
    const target = newTarget();
    const core = ServerCore.open(target);
    atEnd(() => Promise.resolve(core.close()));
    const child = await spawn(name, "guarded.ts", ["claim", target]);
    assertEquals(await child.message(), true);
    assertEquals(claim(core), false);
    // Everyone uses the channel as before.
    using client = Client.open(target);
    client.sendSync("x").release();
    await child.killed();
    assertEquals(claim(core), true);
    assertEquals(claim(core), true);
    const other = await spawn(name, "guarded.ts", ["claim", target]);
    assertEquals(await other.message(), false);
    core.close();
    assertThrowsCode(() => claim(core), "CLOSED");
    const third = await spawn(name, "guarded.ts", ["claim", target]);
    assertEquals(await third.message(), true);
  });
}

test("a guard takes no other descriptor for a record", () => {
  const options = { lifeline: null, abortGrace: 1, hungTimeout: 1 };
  for (const recordFd of [0, 9999]) {
    assertThrowsCode(() => startGuard({ ...options, recordFd }), "CORRUPT", `${recordFd}`);
  }
  assertThrowsCode(() => startGuard({ ...options, recordFd: null, lifeline: 9999 }), "CORRUPT");
});
