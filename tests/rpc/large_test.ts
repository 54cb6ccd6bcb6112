/** Messages that are longer than the channel allows travel in parts, unless that is forbidden. */
import { assert, assertEquals } from "@std/assert";
import { statSync } from "node:fs";
import { connect, serve } from "../../mod.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  pattern,
  processState,
  runtimes,
  test,
} from "../support/harness.ts";
import { privateChannelsOf } from "../support/bells.ts";
import { typed, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

const mebibyte = 2 ** 20;

for (const site of sites) {
  test(`${site.title}: arguments and results that are longer than a slot`, async () => {
    using there = await typedAt(site, { maxRequestBytes: 10_000, maxResponseBytes: 10_000 });
    const { remote } = there;
    for (const length of [9_000, 9_984, 10_000, 10_001, 3 * mebibyte + 1]) {
      const bytes = pattern(length, length);
      const [back] = await remote.echo(bytes) as [Uint8Array];
      assertEquals(back.length, length);
      assert(bytes.every((byte, index) => back[index] === byte), `${length}`);
    }
    // A tree that is long by itself, and byte strings of any length in it.
    const list = Array.from({ length: 20_000 }, (_, index) => ({ index, text: `number ${index}` }));
    const parts = [
      pattern(5_000_000, 1),
      "x".repeat(100_000),
      pattern(2_000, 2),
      new Float64Array(9),
    ];
    assertEquals(await remote.echo(list as unknown, parts), [list, parts]);
  });

  test(`${site.title}: several long messages at once`, async () => {
    using there = await typedAt(site, { maxRequestBytes: 4_096, maxResponseBytes: 4_096 });
    const lengths = Array.from({ length: 12 }, (_, index) => 1_500_000 + index);
    const calls = lengths.map((length) => there.remote.big(length));
    const sent = lengths.map((length) => there.remote.length(new Uint8Array(length)));
    assertEquals((await Promise.all(calls)).map((bytes) => bytes.length), lengths);
    assertEquals(await Promise.all(sent), lengths);
  });

  test(`${site.title}: maxMessageBytes holds on either side`, async () => {
    using there = await typedAt(site, { maxMessageBytes: 2 * mebibyte });
    const { remote, target } = there;
    assertEquals((await remote.big(mebibyte)).length, mebibyte);
    await assertRejectsCode(remote.big(3 * mebibyte), "TOO_LARGE", "maxMessageBytes");
    await assertRejectsCode(remote.length(new Uint8Array(3 * mebibyte)), "TOO_LARGE");
    using careful = connect<typeof remote & { big(length: number): Uint8Array }>(target, {
      maxMessageBytes: 1_500_000,
    });
    assertEquals((await careful.big(mebibyte) as unknown as Uint8Array).length, mebibyte);
    await assertRejectsCode(careful.big(1_800_000), "TOO_LARGE", "take");
    using forbidding = connect<typeof remote>(target, { maxMessageBytes: 0 });
    await assertRejectsCode(
      forbidding.length(new Uint8Array(mebibyte)) as unknown as Promise<number>,
      "TOO_LARGE",
      "send",
    );
    // The connection still works.
    assertEquals(await remote.add(1, 2), 3);
  });
}

for (const runtime of runtimes) {
  test(`${runtime} serves: a message of 100 MiB passes through less than 16 MiB of shared memory`, async () => {
    using there = await typed(runtime);
    const length = 100 * mebibyte;
    const bytes = await there.remote.big(length);
    assertEquals([bytes.length, bytes[0], bytes[length - 1]], [length, 7, 7]);
    assertEquals(await there.remote.length(bytes), length);
    // It has gone through shared memory a megabyte at a time.
    const hosted = privateChannelsOf(there.target);
    assert(hosted.length > 0);
    for (const path of hosted) {
      const { blocks } = statSync(path);
      assert(blocks * 512 < 16 * mebibyte, `${path} takes ${blocks * 512} bytes`);
    }
  });

  test(`${runtime} serves: a service killed while it receives a long message: SERVER_DIED`, async () => {
    using there = await typed(runtime);
    assertEquals(await there.remote.add(1, 2), 3);
    const before = processState(there.service.pid).residentBytes;
    const call = doomed(there.remote.length(new Uint8Array(300 * mebibyte)));
    // It has begun, and most is still to come.
    await eventually(() => processState(there.service.pid).residentBytes > before + 20 * mebibyte);
    await there.service.killed();
    await assertRejectsCode(call, "SERVER_DIED");
  });
}

for (const transport of transports) {
  test(`${transport.title}: long messages that change after the call are sent as they were`, async () => {
    const target = transport.newTarget();
    const api = {
      last: (bytes: Uint8Array) => bytes.at(-1),
      reused: () => {
        reused.fill(1);
        queueMicrotask(() => reused.fill(2));
        return reused;
      },
    };
    const reused = new Uint8Array(3 * mebibyte);
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    const bytes = new Uint8Array(3 * mebibyte).fill(1);
    const call = remote.last(bytes);
    bytes.fill(2);
    assertEquals(await call, 1);
    assertEquals((await remote.reused()).at(-1), 1);
    void service;
  });
}
