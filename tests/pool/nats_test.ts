/** Pools on nats:// targets: callers on other machines reach the workers through the pool's front. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  connect,
  everywhere,
  proxy,
  RemoteError,
  services,
  TandemError,
  withOptions,
} from "../../mod.ts";
import { type LogRecord, Pool, type PoolOptions } from "../../src/pool/main.ts";
import type { Api as ForeignApi } from "../fixtures/pool/far.ts";
import {
  afterEnd,
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  pattern,
  runtimes,
  test,
} from "../support/harness.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { hasNats, natsAddress, newNatsTarget, rawConnection } from "../support/nats.ts";
import { startNatsServer } from "../support/nats_server.ts";
import { Events, exitIn, Journal, startPool, workerFile } from "../support/pool.ts";
import { codeOf } from "../../src/base/guard.ts";
import { collect } from "../support/rpc_helper.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

const file = workerFile("far.ts");

class NoPicture extends Error {
  override name = "NoPicture";
  declare path: string;
}

function newPool(target: string, options: PoolOptions = {}): Pool<ForeignApi> {
  return startPool<ForeignApi>({ min: 1, max: 1, target, ...options }, file);
}

async function readyPool(target: string, options?: PoolOptions): Promise<Pool<ForeignApi>> {
  const pool = newPool(target, options);
  await pool.ready;
  return pool;
}

test("pool over NATS: what a call can carry", async () => {
  const target = newNatsTarget();
  const pool = await readyPool(target, { concurrency: 8 });
  using remote = connect<ForeignApi>(target, { timeout: 60_000, errors: { NoPicture } });
  assertEquals(await remote.pid(), pool.workers()[0]!.pid);
  const value = new Map<string, unknown>([["a", [1n, new Date(0), /x/g, undefined]]]);
  assertEquals(await remote.echo(value), value);

  // Streams in both directions, with their values.
  assertEquals(await collect(remote.count(0, 20)), Array.from({ length: 20 }, (_, at) => at));
  const counted = remote.count(0, 100);
  assertEquals(await counted.next(), { done: false, value: 0 });
  assertEquals(await counted.next(10), { done: false, value: 10 });
  assertEquals(await counted.return("enough"), { done: true, value: "enough" });
  const ended = remote.count(5, 6);
  assertEquals([await ended.next(), await ended.next()], [
    { done: false, value: 5 },
    { done: true, value: "over" },
  ]);
  const readable = await remote.readable();
  assertInstanceOf(readable, ReadableStream);
  assertEquals(await collect<unknown>(readable), ["one", "two"]);
  async function* numbers(): AsyncGenerator<number> {
    yield* [1, 2, 3];
  }
  assertEquals(await remote.sum(numbers()), 6);
  const journal = new Journal();
  for await (const number of remote.endless(journal.path)) if (number === 3) break;
  await journal.has("stream ended");

  // Functions and signals.
  assertEquals(await remote.map([1, 2], proxy((value: number) => Promise.resolve(value * 2))), [
    2,
    4,
  ]);
  await remote.keep(proxy((value: number) => Promise.resolve(value + 1), { keep: true }));
  assertEquals(await remote.useKept(5), 6);
  const stop = new AbortController();
  const following = remote.follow(stop.signal);
  stop.abort("enough");
  assertEquals(await following, "enough");

  // Long messages, and Blobs.
  const long = pattern(3_000_000, 1);
  assertEquals(await remote.echo(long), long);
  const blob = await remote.blob(new Blob(["text"], { type: "image/x-test" }));
  assertEquals([await blob.text(), blob.type], ["text!", "image/x-test"]);

  // What travels beside the arguments.
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const context = await withOptions(remote, { metadata: { tenant: "a" }, traceparent }).context();
  assertEquals(context.metadata, { tenant: "a" });
  assertEquals(context.traceparent, traceparent);
  const left = context.timeRemaining as number;
  assert(left > 0 && left <= 60_000, `${left}`);

  // The owner's own calls go through memory, and see the same workers.
  assertEquals(await pool.call.pid(), await remote.pid());
}, { skip });

test("pool over NATS: errors keep their classes, causes and codes", async () => {
  const target = newNatsTarget();
  await readyPool(target);
  using remote = connect<ForeignApi>(target, { timeout: 60_000, errors: { NoPicture } });
  const failed = await remote.fail("/a").then(() => null, (error: unknown) => error);
  assertInstanceOf(failed, NoPicture);
  assertEquals([failed.message, failed.path, failed.cause], [
    "no picture at /a",
    "/a",
    { path: "/a" },
  ]);
  const inStream = await collect(remote.failing()).then(() => null, (error: unknown) => error);
  assertInstanceOf(inStream, NoPicture);
  using other = connect<ForeignApi>(target, { timeout: 60_000 });
  const unknown = await other.fail("/b").then(() => null, (error: unknown) => error);
  assertInstanceOf(unknown, RemoteError);
  assertEquals([unknown.remoteName, unknown.remoteMessage, unknown.cause], [
    "NoPicture",
    "no picture at /b",
    { path: "/b" },
  ]);
  assertEquals(unknown.remoteProperties, { path: "/b", tries: 3 });
  const thrown = await other.failWith({ plain: 1 }).then(() => null, (error: unknown) => error);
  assertInstanceOf(thrown, RemoteError);
  assertEquals(thrown.cause, { plain: 1 });
  const range = await other.failWith(new RangeError("far")).then(() => null, (e: unknown) => e);
  assertInstanceOf(range, RemoteError);
  assertEquals([range.remoteName, range.remoteMessage], ["RangeError", "far"]);
  const raised = await other.map([1], proxy(() => Promise.reject(new TypeError("here"))))
    .then(() => null, (error: unknown) => error);
  assertInstanceOf(raised, RemoteError);
  assert(raised.message.includes("here"), raised.message);
  const missing = connect<{ missing(): void }>(target, { timeout: 60_000 });
  const error = await assertRejectsCode(missing.missing(), "UNKNOWN_METHOD");
  assertEquals(error.message.split("(method").length, 2, error.message);
  missing[Symbol.dispose]();
  const reserved = connect<{ "tandem:checkout"(): void }>(target, { timeout: 60_000 });
  await assertRejectsCode(reserved["tandem:checkout"](), "UNKNOWN_METHOD");
  reserved[Symbol.dispose]();
}, { skip });

test("pool over NATS: cancel and deadline reach the worker", async () => {
  const target = newNatsTarget();
  const pool = await readyPool(target, { abortGrace: 60_000 });
  const events = new Events(pool);
  using remote = connect<ForeignApi>(target, { timeout: 60_000 });
  const journal = new Journal();
  const stop = new AbortController();
  const cancelled = doomed(
    withOptions(remote, { signal: stop.signal }).obey(journal.path, "cancel"),
  );
  await journal.has("begin cancel");
  stop.abort(new RangeError("enough"));
  assertEquals((await cancelled.then(() => null, (e: unknown) => e) as Error).message, "enough");
  await journal.has("aborted cancel");
  const late = doomed(withOptions(remote, { timeout: 500 }).obey(journal.path, "late"));
  await assertRejectsCode(late, "TIMEOUT");
  await eventually(() => {
    const { lines } = journal;
    return lines.includes("aborted late") || !lines.includes("begin late");
  }, "the call was aborted, or has never begun");
  assertEquals(events.of("exited"), []);
}, { skip });

test("pool over NATS: a worker dies, hangs, or is replaced", async () => {
  const target = newNatsTarget();
  const pool = await readyPool(target, {
    min: 2,
    max: 2,
    idempotent: ["exitOnce"],
    abortGrace: 200,
  });
  const events = new Events(pool);
  using remote = connect<ForeignApi>(target, { timeout: 60_000 });
  const died = exitIn(await remote.exit(3).then(() => null, (error: unknown) => error));
  assertEquals([died.code, died.reason], [3, "exit"]);
  assertEquals(await remote.exitOnce(), 2);
  const stream = remote.dying();
  assertEquals((await stream.next()).value, 1);
  await assertRejectsCode(stream.next(), "SERVER_DIED");
  // A handler that never gives the thread back is killed when its caller has left.
  const journal = new Journal();
  const stop = new AbortController();
  const hanging = doomed(withOptions(remote, { signal: stop.signal }).hang(journal.path));
  await journal.has("begin hang");
  stop.abort(new RangeError("enough"));
  await hanging.catch(() => {});
  await eventually(
    () => events.of("exited").some(({ exit }) => exit?.reason === "timeout"),
    "the worker that hangs is killed",
  );
  // No call is lost while workers are replaced.
  const before = new Set(pool.workers().map(({ pid }) => pid));
  let isOver = false;
  const calls = Array.from({ length: 4 }, async () => {
    while (!isOver) await remote.pid();
  });
  await pool.restart();
  isOver = true;
  await Promise.all(calls);
  assert(pool.workers().every(({ pid }) => !before.has(pid)));
}, { skip });

test(
  "pool over NATS: a worker that blocks its thread for longer than silence may last",
  async () => {
    const target = newNatsTarget();
    const pool = await readyPool(target);
    using remote = connect<ForeignApi>(target, { timeout: 120_000 });
    assertEquals(await remote.busy(6_000), pool.workers()[0]!.pid);
  },
  { skip },
);

test("pool over NATS: two pools serve one target; one closes, and no call is lost", async () => {
  const target = newNatsTarget();
  const [one, two] = await Promise.all([readyPool(target), readyPool(target)]);
  using remote = connect<ForeignApi>(target, { timeout: 60_000 });
  const journal = new Journal();
  // One call fills each pool, with the one that waits for it.
  const pids: Set<number> = new Set();
  await eventually(async () => {
    pids.add(await remote.pid());
    return pids.size === 2;
  }, "both pools get calls");
  assertEquals((await services(remote)).length, 2);
  assertEquals((await everywhere(remote).pid()).length, 2);
  const held = [1, 2, 3, 4].map((at) => remote.hold(journal.path, `${at}`));
  for (const call of held) call.catch(() => {});
  await eventually(
    () => [one, two].every((pool) => pool.stats().busy === 1),
    "both pools work",
  );
  let isOver = false;
  const calls = Array.from({ length: 4 }, async () => {
    while (!isOver) await remote.pid();
  });
  const closing = one.close();
  for (const at of [1, 2, 3, 4]) journal.release(`${at}`);
  assertEquals((await Promise.all(held)).length, 4);
  await closing;
  isOver = true;
  await Promise.all(calls);
  const [left] = two.workers();
  assertEquals(await remote.pid(), left!.pid);
}, { skip });

test("pool over NATS: Pool.attach", async () => {
  const target = newNatsTarget();
  const pools = await Promise.all([
    readyPool(target, { min: 2, max: 2 }),
    readyPool(target),
  ]);
  const attached = Pool.attach<ForeignApi>(target, { timeout: 60_000, errors: { NoPicture } });
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => attached.close());
  const pids = pools.flatMap((pool) => pool.workers()).map(({ pid }) => pid).sort();
  assert(pids.includes(await attached.call.pid()));
  assertEquals((await attached.workers()).map(({ pid }) => pid).sort(), pids);
  const stats = await attached.stats();
  assertEquals([stats.workers, stats.max], [3, 3]);
  const results = await attached.everywhere.pid();
  assertEquals(
    results.map((result) => result.status === "fulfilled" ? result.value : 0).sort(),
    pids,
  );
  const failed = await attached.everywhere.fail("/c");
  assertEquals(failed.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  for (const result of failed) {
    assertInstanceOf((result as PromiseRejectedResult).reason, NoPicture);
  }
  const records: LogRecord[] = [];
  using listening = attached.onLog((record) => void records.push(record));
  void listening;
  await eventually(async () => {
    await attached.everywhere.say("hello");
    return new Set(records.map(({ worker }) => worker)).size === 2;
  }, "records come from workers 1 and 2");
  await assertRejectsCode(attached.checkout(), "UNSUPPORTED");
  attached.close();
  await assertRejectsCode(attached.call.pid(), "CLOSED");
}, { skip });

test(
  "pool over NATS: the pool grows for callers of other machines, from no worker on",
  async () => {
    const target = newNatsTarget();
    const pool = newPool(target, { min: 0, max: 3, idleTimeout: 60_000 });
    await pool.ready;
    assertEquals(pool.workers(), []);
    using remote = connect<ForeignApi>(target, { timeout: 120_000 });
    const journal = new Journal();
    const held = [1, 2, 3].map((at) => remote.hold(journal.path, `${at}`));
    for (const call of held) call.catch(() => {});
    await eventually(() => pool.stats().busy === 3, "three workers work");
    for (const at of [1, 2, 3]) journal.release(`${at}`);
    assertEquals(new Set(await Promise.all(held)).size, 3);
    pool.resize({ min: 1, max: 1 });
    await eventually(() => pool.workers().length === 1, "the pool shrinks");
    assertEquals(await remote.echo(1), 1);
  },
  { skip },
);

test("pool over NATS: no worker can start: callers get the reason", async () => {
  const target = newNatsTarget();
  newPool(target, { env: { TEST_NO_START: "1" } });
  using remote = connect<ForeignApi>(target, { timeout: 60_000 });
  const error = await remote.pid().then(() => null, (error: unknown) => error);
  assertInstanceOf(error, RemoteError);
  assertEquals([error.remoteName, error.remoteMessage], ["RangeError", "cannot start here"]);
}, { skip });

test("pool over NATS: methods of the package do not pass, also not to every worker", async () => {
  const target = newNatsTarget();
  const pool = await readyPool(target);
  using remote = connect<Record<string, (...args: unknown[]) => Promise<unknown>>>(target, {
    timeout: 60_000,
  });
  const session = ["name", { maxHold: Infinity, afterError: "keep" }];
  const attempts = [["tandem:checkout", session], ["pid"], ["pid", 1], [1, []], []];
  for (const args of attempts) {
    const call = remote["tandem:everywhere"]!(...args);
    await assertRejectsCode(call, "UNKNOWN_METHOD");
  }
  await assertRejectsCode(remote["tandem:checkout"]!(...session), "UNKNOWN_METHOD");
  await assertRejectsCode(remote["misspelt"]!(), "UNKNOWN_METHOD");
  const results = await remote["tandem:everywhere"]!("pid", []) as unknown[];
  assertEquals(results.length, 1);
  assertEquals(await remote["pid"]!(), pool.workers()[0]!.pid);
}, { skip });

test("pool over NATS: drain and close", async () => {
  const target = newNatsTarget();
  const pool = await readyPool(target);
  using remote = connect<ForeignApi>(target, { timeout: 60_000 });
  const journal = new Journal();
  const held = doomed(remote.hold(journal.path, "held"));
  await journal.has("begin held");
  assertEquals(await pool.drain({ timeout: 50 }), false);
  // Nobody takes new calls, although the pool is still there.
  const refused = await withOptions(remote, { timeout: 1_000 }).pid().then(() => null, codeOf);
  assert(refused === "BUSY" || refused === "NO_SERVER", String(refused));
  journal.release("held");
  assert(await held > 0);
  assertEquals(await pool.drain(), true);
  await pool.close();
  const next = await readyPool(target);
  const open = doomed(remote.hold(journal.path, "open"));
  await journal.has("begin open");
  await next.close({ timeout: 0 });
  await assertRejectsCode(open, "SERVER_DIED");
}, { skip });

test("pool over NATS: the server goes and comes back: calls flow again", async () => {
  const first = await startNatsServer();
  afterEnd(linksClosed);
  afterEnd(() => first.kill());
  const target = `nats://${first.address}/lost`;
  const pool = await readyPool(target);
  using remote = connect<ForeignApi>(target, { timeout: 60_000 });
  const { pid } = pool.workers()[0]!;
  assertEquals(await remote.pid(), pid);
  await first.kill();
  // The owner does not need the server.
  assertEquals(await pool.call.pid(), pid);
  const second = await startNatsServer("", first.port);
  afterEnd(() => second.kill());
  await eventually(async () => {
    try {
      return await remote.pid() === pid;
    } catch (error) {
      const { code } = error as TandemError;
      assert(["DISCONNECTED", "UNKNOWN_OUTCOME", "NO_SERVER"].includes(code), String(error));
      return false;
    }
  }, "calls flow again");
}, { skip });

test(
  "pool over NATS: a login that is refused is an error of `ready`; the owner goes on",
  async () => {
    const server = await startNatsServer("authorization: { user: a, password: b }");
    afterEnd(linksClosed);
    afterEnd(() => server.kill());
    const pool = newPool(`nats://${server.address}/refused`);
    await assertRejectsCode(pool.ready, "PERMISSION");
    assertEquals(await pool.call.pid(), pool.workers()[0]!.pid);
    const login = { user: "a", pass: "b" };
    const allowed = await readyPool(`nats://${server.address}/refused`, { nats: login });
    using remote = connect<ForeignApi>(`nats://${server.address}/refused`, { nats: login });
    assertEquals(await remote.pid(), allowed.workers()[0]!.pid);
  },
  { skip },
);

test("pool over NATS: clients in other languages", async () => {
  const target = newNatsTarget();
  await readyPool(target);
  const raw = await rawConnection();
  const subject = `tandem.call.${target.split("/").at(-1)}`;
  const ask = async (method: string, text: string) => {
    const answer = await raw.request(subject, new TextEncoder().encode(text), {
      timeout: 60_000,
      headers: raw.newHeaders({ "Tandem-Method": method }),
    });
    return { text: new TextDecoder().decode(answer.data), headers: answer.headers };
  };
  assertEquals((await ask("echo", "bytes")).text, "bytes");
  assertEquals((await ask("fail", "")).headers?.get("Tandem-Error"), "REMOTE");
  assertEquals((await ask("exitOnce", "")).headers?.get("Tandem-Error"), "SERVER_DIED");
  assertEquals((await ask("tandem:everywhere", "")).headers?.get("Tandem-Error"), "UNKNOWN_METHOD");
}, { skip });

test("pool over NATS: workers of all runtimes", async () => {
  const target = newNatsTarget();
  const pool = await readyPool(target, {
    runtime: runtimes,
    min: runtimes.length,
    max: runtimes.length,
  });
  const attached = Pool.attach<ForeignApi>(target, { timeout: 60_000 });
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => attached.close());
  const results = await attached.everywhere.pid();
  assertEquals(results.length, pool.workers().length);
}, { skip });

test("pool over NATS: options that a target on several machines cannot have", () => {
  const target = `nats://${hasNats ? natsAddress() : "127.0.0.1:1"}/options`;
  for (const options of [{ handOver: true }, { maxQueuePerClient: 3 }]) {
    const error = assertThrows(() => new Pool(file, { target, ...options }), TandemError);
    assertEquals(error.code, "UNSUPPORTED");
    assert(error.message.includes(Object.keys(options)[0]!), error.message);
  }
  assertThrows(() => new Pool(file, { target: "nats://nowhere" }), TypeError);
  assertThrows(() => new Pool(file, { target: "memory:pool" }), TypeError);
  const web = "ws://user:secret@host/name";
  const { message } = assertThrows(() => new Pool(file, { target: web }), TypeError);
  assert(!message.includes("secret"), message);
});
