/** Blobs and Files are read, and arrive as Blobs and Files of their own. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, proxy, RemoteError, serve, withOptions } from "../../mod.ts";
import { readBlobs, whenRead } from "../../src/rpc/blob_reading.ts";
import { encode } from "../support/codec_helper.ts";
import { assertRejectsCode, assertThrowsCode, folder, test } from "../support/harness.ts";
import { collect, rejection, typedAt } from "../support/rpc_helper.ts";
import { pattern } from "../support/pattern.ts";
import { sites, transports } from "../support/sites.ts";

const { Bun } = globalThis as unknown as { Bun?: { file(path: string): Blob } };

async function assertBlob(found: unknown, bytes: Uint8Array, type: string): Promise<void> {
  assertInstanceOf(found, Blob);
  assertEquals([found.size, found.type], [bytes.byteLength, type]);
  const arrived = new Uint8Array(await found.arrayBuffer());
  assert(arrived.every((byte, at) => byte === bytes[at]), "other bytes");
}

/** As the runtime writes it: Bun adds a charset. */
const textType = new Blob(["a"], { type: "text/plain;charset=utf-8" }).type;

for (const site of sites) {
  test(`${site.title}: Blobs and Files arrive as such, of any length, anywhere in a value`, async () => {
    using there = await typedAt(site);
    const { remote } = there;
    for (const length of [0, 5, 1_023, 1_024, 100_000, 3_000_000]) {
      const bytes = pattern(length, 5);
      const blob = new Blob([bytes], { type: "image/png" });
      const [found, { list, other }] = await remote.echo(blob, {
        list: [blob],
        other: new Map([["b", new Blob([bytes.subarray(0, 3)])]]),
      }) as [Blob, { list: Blob[]; other: Map<string, Blob> }];
      await assertBlob(found, bytes, "image/png");
      // The same one is the same on the other side.
      assert(list[0] === found && other.get("b") !== found);
      assert(!(found instanceof File));
      await assertBlob(other.get("b"), bytes.subarray(0, 3), "");
      assert(await remote.same(blob, blob));
      assertEquals(await remote.same(blob, new Blob([bytes])), false);
    }
    const file = new File(["content ", new Uint8Array([65])], "a ü.txt", {
      type: "text/plain;charset=utf-8",
      lastModified: 1_234_567_890_123,
    });
    const [found] = await remote.echo(file);
    assertInstanceOf(found, File);
    assertEquals([found.name, found.lastModified, found.type], [
      "a ü.txt",
      1_234_567_890_123,
      textType,
    ]);
    assertEquals(await found.text(), "content A");
    class Own extends File {
      extra = 1;
    }
    const [own] = await remote.echo(new Own(["x"], "own", { lastModified: -1 }));
    assert(own instanceof File && !(own instanceof Own) && !("extra" in own));
    assertEquals([own.name, own.lastModified, await own.text()], ["own", -1, "x"]);
    const [slice] = await remote.echo(file.slice(2, 5));
    assertEquals(await (slice as Blob).text(), "nte");
  });

  test(`${site.title}: the other arguments are those of the call, and no other call waits`, async () => {
    using there = await typedAt(site);
    const { remote } = there;
    const list = [1, 2];
    const bytes = new Uint8Array(5_000).fill(1);
    const settled: string[] = [];
    const withBlob = remote.echo(list, bytes, new Blob([pattern(3_000_000, 1)]))
      .then((result) => {
        settled.push("blob");
        return result;
      });
    list.push(3);
    bytes.fill(9);
    assertEquals(await remote.add(1, 2), 3);
    settled.push("other");
    const [first, second, blob] = await withBlob;
    assertEquals(first, [1, 2]);
    assertEquals(second, new Uint8Array(5_000).fill(1));
    await assertBlob(blob, pattern(3_000_000, 1), "");
    assertEquals(settled, ["other", "blob"]);
  });

  test(`${site.title}: a signal ends a call whose Blobs are being read`, async () => {
    using there = await typedAt(site);
    const controller = new AbortController();
    const patient = withOptions(there.remote, { signal: controller.signal });
    const before = await there.remote.count();
    const call = rejection(patient.same(new Blob(["a"]), 1));
    const reason = new RangeError("enough");
    controller.abort(reason);
    assertEquals(await call, reason);
    assertEquals(await there.remote.count(), before + 1);
  });

  test(`${site.title}: a call with a Blob waits for its service, and ends when the connection closes`, async () => {
    const target = site.newTarget();
    type Echo = { echo(value: unknown): unknown[] };
    using early = connect<Echo>(target, { timeout: 30_000 });
    const waiting = early.echo(new Blob(["early"]));
    const idempotent = withOptions(early, { idempotent: true }).echo(new Blob(["again"]));
    await site.start("typed.ts", target, {});
    assertEquals(await ((await waiting)[0] as Blob).text(), "early");
    assertEquals(await ((await idempotent)[0] as Blob).text(), "again");
    const closing = early.echo(new Blob(["late"]));
    early[Symbol.dispose]();
    await assertRejectsCode(closing, "CLOSED");
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: Blobs in results, errors, items of streams and values of steps`, async () => {
    const bytes = pattern(2_000_000, 2);
    const api = {
      make: (length: number) => ({ blob: new Blob([bytes.subarray(0, length)]) }),
      makeLater: async () => await Promise.resolve([new File([bytes], "later")]),
      fail(): never {
        throw Object.assign(new RangeError("with a Blob"), {
          blob: new Blob(["details"]),
          left: () => {},
          last: 7,
        });
      },
      *blobs(count: number) {
        for (let index = 0; index < count; index++) yield new Blob([`item ${index}`]);
        return new Blob(["end"]);
      },
      async *dialogue(): AsyncGenerator<string, void, unknown> {
        let heard: unknown = yield "ready";
        for (let step = 1;; step++) {
          const text = heard instanceof Blob ? await heard.text() : `no Blob: ${heard}`;
          heard = yield `${step} ${text}`;
        }
      },
      async sizes(blobs: AsyncIterable<Blob>): Promise<number[]> {
        return (await collect(blobs)).map(({ size }) => size);
      },
    };
    const target = newTarget();
    const heard: string[] = [];
    await using _service = serve(target, api, {
      concurrency: 1,
      onCall: ({ outcome }) => heard.push(outcome),
    });
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (const length of [3, 5_000, 2_000_000]) {
      await assertBlob((await remote.make(length)).blob, bytes.subarray(0, length), "");
    }
    const [file] = await remote.makeLater();
    assertInstanceOf(file, File);
    await assertBlob(file, bytes, "");
    const error = await rejection<RemoteError>(remote.fail());
    const { blob, ...rest } = error.remoteProperties as { blob: Blob };
    assertEquals([error.remoteMessage, rest], ["with a Blob", { last: 7 }]);
    assertEquals(await blob.text(), "details");
    assertEquals(heard, ["ok", "ok", "ok", "ok", "REMOTE"]);

    const stream = remote.blobs(2);
    const texts: string[] = [];
    for (let step = await stream.next();; step = await stream.next()) {
      texts.push(await (step.value as Blob).text());
      if (step.done) break;
    }
    assertEquals(texts, ["item 0", "item 1", "end"]);

    const talk = remote.dialogue();
    assertEquals((await talk.next()).value, "ready");
    // Steps stay in order, whichever have to be read.
    const answers = await Promise.all([
      talk.next(new Blob([bytes.subarray(0, 1_000).map(() => 65)])),
      talk.next("second"),
      talk.next(new Blob(["third"])),
      talk.next("fourth"),
    ]);
    assertEquals(answers.map(({ value }) => value), [
      `1 ${"A".repeat(1_000)}`,
      "2 no Blob: second",
      "3 third",
      "4 no Blob: fourth",
    ]);
    await assertRejectsCode(talk.next(new Blob([bytes])), "TOO_LARGE");
    assertEquals((await talk.next("on")).value, "5 no Blob: on");
    await talk.return();

    async function* sent() {
      yield new Blob(["a"]);
      yield await Promise.resolve(new Blob([bytes]));
    }
    assertEquals(await remote.sizes(sent()), [1, 2_000_000]);
  });

  test(`${title}: the reason of a signal with a Blob`, async () => {
    const target = newTarget();
    const api = {
      async reason(signal: AbortSignal): Promise<unknown> {
        if (!signal.aborted) {
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        }
        return signal.reason instanceof Error ? signal.reason.message : signal.reason;
      },
    };
    await using _service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const before = AbortSignal.abort({ blob: new Blob(["why"]) });
    const { blob } = await remote.reason(before) as { blob: Blob };
    assertEquals(await blob.text(), "why");
    // News of an abort cannot wait until a Blob is read.
    const controller = new AbortController();
    const call = remote.reason(controller.signal);
    controller.abort(new Blob(["why"]));
    assertEquals(
      await call,
      "The signal has aborted for a reason that cannot be sent: a value of type Blob",
    );
  });

  test(`${title}: Blobs in calls of functions that were passed, and in their results`, async () => {
    const target = newTarget();
    const api = {
      async ask(answer: (blob: Blob) => Blob | Promise<Blob>): Promise<string> {
        const found = await Promise.all([answer(new Blob(["a"])), answer(new Blob(["b"]))]);
        return (await Promise.all(found.map((blob) => blob.text()))).join(" ");
      },
      // More calls than may be in flight at once.
      async tell(hear: (blob: Blob) => void): Promise<void> {
        const calls = Array.from({ length: 600 }, (_, index) => hear(new Blob([`${index}`])));
        await Promise.all(calls);
      },
    };
    await using _service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const answer = async (blob: Blob) => new Blob([await blob.text(), "!"]);
    assertEquals(await remote.ask(proxy(answer)), "a! b!");
    const heard: Promise<string>[] = [];
    await remote.tell(proxy((blob) => void heard.push(blob.text())));
    const numbers = (await Promise.all(heard)).map(Number).sort((one, other) => one - other);
    assertEquals(numbers, Array.from({ length: 600 }, (_, index) => index));
  });

  test(`${title}: a closing service still sends the Blob of a call in progress`, async () => {
    const target = newTarget();
    let closing: Promise<void> | undefined;
    const service = serve(target, {
      make: () => {
        closing = service.close();
        return new Blob([pattern(2_000_000, 1)]);
      },
    });
    using remote = connect<{ make(): Blob }>(target, { timeout: 30_000 });
    await assertBlob(await remote.make(), pattern(2_000_000, 1), "");
    await closing;
  });

  test(`${title}: too long a Blob is TOO_LARGE before it is read`, async () => {
    const target = newTarget();
    const api = { size: (blob: Blob) => blob.size, make: () => new Blob([pattern(9_000, 1)]) };
    await using _service = serve(target, api, { maxMessageBytes: 5_000 });
    using remote = connect<typeof api>(target, { timeout: 30_000, maxMessageBytes: 5_000 });
    await assertRejectsCode(remote.size(new Blob([pattern(9_000, 1)])), "TOO_LARGE");
    await assertRejectsCode(remote.make(), "TOO_LARGE");
    assertEquals(await remote.size(new Blob([pattern(3_000, 1)])), 3_000);
    await assertRejectsCode(
      withOptions(remote, { idempotent: true }).size(new Blob([pattern(9_000, 1)])),
      "TOO_LARGE",
    );
  });

  if (Bun) {
    test(`${title}: files of Bun: missing, changed, and without a length`, async () => {
      const target = newTarget();
      const there = Bun.file("/nowhere/at/all");
      const api = {
        size: (blob: Blob) => blob.size,
        missing: () => there,
        fail(): never {
          throw Object.assign(new Error("of its own"), { file: there, id: 3 });
        },
      };
      await using _service = serve(target, api);
      using remote = connect<typeof api>(target, { timeout: 30_000 });
      const error = await rejection<Error & { code?: string }>(remote.size(there));
      assertEquals(error.code, "ENOENT");
      const path = join(folder(), "file.txt");
      writeFileSync(path, "12345");
      assertEquals(await remote.size(Bun.file(path)), 5);
      const changed = Bun.file(path);
      assertEquals(changed.size, 5);
      writeFileSync(path, "12");
      await assertRejectsCode(remote.size(changed), "NOT_SERIALIZABLE", "2 bytes now");
      rmSync(path);
      await assertRejectsCode(remote.size(Bun.file("/dev/zero")), "NOT_SERIALIZABLE", "length");
      const thrown = await rejection<RemoteError>(remote.missing());
      assertInstanceOf(thrown, RemoteError);
      assert(thrown.remoteMessage.includes("ENOENT"), thrown.remoteMessage);
      // A property that cannot be read does not hide the error.
      const own = await rejection<RemoteError>(remote.fail());
      assertEquals([own.remoteMessage, own.remoteProperties], ["of its own", { id: 3 }]);
    });
  }
}

test("a Blob with another length than before is refused", async () => {
  const unread = [{ blob: new Blob(["abc"]), byteLength: 5, at: 0, index: -1 }];
  const values = { tree: new Uint8Array(5), blobs: [], objects: 1, unread };
  await assertRejectsCode(readBlobs(values), "NOT_SERIALIZABLE", "3 bytes now");
});

test("a wait for Blobs ends with its deadline, its signal, or its connection", async () => {
  const never = new Promise<void>(() => {});
  await assertRejectsCode(whenRead(never, { deadline: performance.now() + 5 }), "TIMEOUT");
  const signal = AbortSignal.abort(new RangeError("stop"));
  assertInstanceOf(await rejection(whenRead(never, { deadline: Infinity, signal })), RangeError);
  await whenRead(never, { deadline: Infinity, closing: AbortSignal.abort() });
  await whenRead(Promise.resolve(), { deadline: Infinity });
});

test("where a message is sent at once, a Blob is refused with its path", () => {
  const text = "Cannot send a[0]: it is a Blob, which cannot be sent here";
  assertThrowsCode(() => encode({ a: [new Blob(["x"])] }), "NOT_SERIALIZABLE", text);
  const fake = Object.create(Blob.prototype);
  assertThrowsCode(() => encode(fake), "NOT_SERIALIZABLE", "no constructor made it");
});
