/**
 * Limits across machines when processes die or stand still, when links are lost, and when servers refuse.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Limit } from "../../src/limit/main.ts";
import { loadClient } from "../../src/nats/client.ts";
import { keepAlive } from "../../src/runtime/timers.ts";
import {
  afterEnd,
  assertRejectsCode,
  assertThrowsCode,
  doomed,
  eventually,
  folder,
  present,
  runtime,
  runtimes,
  test as register,
} from "../support/harness.ts";
import { type Contender, type Granted, startProcess } from "../support/limit.ts";
import { rawConnection } from "../support/nats.ts";
import { allSaid, natsLimits, newNatsLimit, noNats, seen, sees } from "../support/nats_limit.ts";
import { type NatsServer, startNatsServer, withJetStream } from "../support/nats_server.ts";

/** As short as leases may be, so that the tests are quick. */
const lease = 1_000;

function test(name: string, body: () => Promise<void>): void {
  register(`NATS limit: ${name}`, body, { skip: noNats });
}

/** A server of the test's own. */
async function startServer(config = withJetStream, port = -1): Promise<NatsServer> {
  const server = await startNatsServer(config, port);
  // What is closed at the end still tells it.
  afterEnd(allSaid);
  afterEnd(() => kill(server));
  return server;
}

/** Servers do not keep this process alive. */
async function kill(server: NatsServer): Promise<void> {
  const letEnd = keepAlive();
  await server.kill();
  letEnd();
}

async function startContender(target: string, other = runtime): Promise<Contender> {
  const flags = ["--allow-net", "--allow-env", "--allow-sys"];
  const contender = await startProcess(other, flags);
  await contender.open(target, { lease });
  return contender;
}

/** A resource that remembers the greatest token. */
class Fenced {
  #greatest = 0n;

  write(token: bigint): boolean {
    if (token < this.#greatest) return false;
    this.#greatest = token;
    return true;
  }
}

function tokenOf({ token }: Granted): bigint {
  return BigInt(present(token));
}

test("a holder of any runtime is killed: the next one gets the place, with a greater token", async () => {
  const [waiter] = natsLimits(1, { lease });
  let last = 0n;
  for (const other of runtimes) {
    const contender = await startContender(waiter!.target, other);
    const token = tokenOf(await contender.acquire());
    assert(token > last);
    const waits = waiter!.acquire();
    await sees(waiter!, 1, 1);
    await contender.child.killed();
    const lock = present(await waits);
    assertEquals([lock.id, lock.token > token], [1, true]);
    last = lock.token;
    lock.release();
  }
});

test("a waiter that is killed: those behind it get the place", async () => {
  const [holder, last] = natsLimits(2, { lease });
  const lock = present(await holder!.acquire());
  const contender = await startContender(holder!.target);
  void contender.acquire();
  await sees(holder!, 1, 1);
  const waits = last!.acquire();
  await sees(holder!, 1, 2);
  await contender.child.killed();
  lock.release();
  present(await waits);
  await sees(holder!, 1, 0);
});

test("a holder that stands still past its lease: it is refused afterwards, and knows that it lost", async () => {
  const resource = new Fenced();
  const [next] = natsLimits(1, { lease });
  const contender = await startContender(next!.target);
  const paused = tokenOf(await contender.acquire());
  assertEquals(resource.write(paused), true);
  const waits = next!.acquire();
  await sees(next!, 1, 1);
  await contender.child.stopped();
  const lock = present(await waits);
  assert(lock.token > paused);
  assertEquals(resource.write(lock.token), true);
  contender.child.kill("SIGCONT");
  // Its first look is at its own clock.
  const state = await contender.tell({ do: "state" });
  assertEquals(state, {
    isHeld: false,
    refusal: null,
    lock: { isHeld: false, isAborted: true },
  });
  assertEquals(await contender.tell({ do: "heartbeat" }), false);
  assertEquals(resource.write(paused), false);
  assertEquals(lock.isHeld, true);
  // It can come back.
  const again = contender.acquire();
  await sees(next!, 1, 1);
  lock.release();
  const token = tokenOf(await again);
  assertEquals([token > lock.token, resource.write(token)], [true, true]);
});

test("a lock is held for longer than its lease, and a waiter waits for longer", async () => {
  const [holder, waiter, watcher] = natsLimits(3, { lease });
  const lock = present(await holder!.acquire());
  const { signal } = lock;
  const waits = waiter!.acquire({ timeout: 3.5 * lease });
  const ticket = await eventuallyTicket(watcher!);
  assertEquals(await waits, null);
  assertEquals([lock.isHeld, lock.heartbeat(), signal.aborted], [true, true, false]);
  assertEquals(watcher!.holders()[0]!.token, lock.token);
  assert(ticket > lock.ticket);
});

async function eventuallyTicket(limit: Limit): Promise<number> {
  await sees(limit, 1, 1);
  return limit.waiters()[0]!.ticket;
}

test("the server is gone: a lock is lost when its lease ends, and comes back with a greater token", async () => {
  const server = await startServer();
  const [holder, other] = natsLimits(2, { lease }, newNatsLimit(server));
  const lock = present(await holder!.acquire());
  const { signal } = lock;
  const waits = other!.acquire();
  await sees(holder!, 1, 1);
  await kill(server);
  await eventually(() => signal.aborted, "the lock is lost");
  assertEquals([signal.reason.code, lock.isHeld, lock.release()], ["CANCELLED", false, false]);
  await assertRejectsCode(holder!.acquire({ timeout: 0 }), "DISCONNECTED");
  await assertRejectsCode(holder!.acquire({ timeout: 10 }), "DISCONNECTED");
  assertThrowsCode(() => holder!.holders(), "DISCONNECTED");
  // With nothing of what the old one has stored.
  await startServer(withJetStream, server.port);
  const next = present(await waits);
  assert(next.token > lock.token);
  next.release();
  assert(present(await holder!.acquire()).token > next.token);
});

test("nobody is there: an attempt waits as long as it may", async () => {
  const server = await startServer();
  await kill(server);
  const [limit] = natsLimits(1, { lease }, newNatsLimit(server));
  await assertRejectsCode(limit!.acquire({ timeout: 0 }), "DISCONNECTED");
  await assertRejectsCode(limit!.acquire({ timeout: 50 }), "DISCONNECTED");
  const waits = limit!.acquire();
  await startServer(withJetStream, server.port);
  present(await waits);
});

test("the limit is removed: its locks are lost, and later ones have greater tokens", async () => {
  const server = await startServer();
  const target = newNatsLimit(server);
  const [holder, other] = natsLimits(2, { max: 2 }, target);
  const lock = present(await holder!.acquire());
  const { signal } = lock;
  const client = await loadClient();
  const connection = await client.connect({ servers: [server.address], reconnect: false });
  const headers = client.headers();
  headers.set("KV-Operation", "DEL");
  const name = target.split("/").at(-1)!;
  connection.publish(`$KV.tandem_-limits.${name}.state`, new Uint8Array(0), { headers });
  await connection.flush();
  await connection.close();
  await eventually(() => signal.aborted, "the lock is lost");
  assertEquals(signal.reason.code, "NOT_FOUND");
  const next = present(await other!.acquire());
  assertEquals([next.id, next.token > lock.token], [1, true]);
});

test("a value that nobody can read is CORRUPT, and one of a newer version INCOMPATIBLE", async () => {
  const server = await startServer();
  const [first] = natsLimits(1, {}, newNatsLimit(server));
  present(await first!.acquire()).release();
  const client = await loadClient();
  const connection = await client.connect({ servers: [server.address], reconnect: false });
  const state = { version: 1, max: 1, order: "oldest", token: "1", attempts: 0, entries: [] };
  const entry = { id: "a", place: 1, token: "1", mode: "shared", ticket: 1 };
  const damaged: object[] = [
    ...[0, 1.5, 1e300, "1"].map((max) => ({ ...state, max })),
    ...[1, ["1"], "9".repeat(19), "1".repeat(30), "-1"].map((token) => ({ ...state, token })),
    { ...state, entries: [{ ...entry, place: -1 }] },
    { ...state, entries: [{ ...entry, token: 1 }] },
  ];
  const texts = [
    ["{", "CORRUPT"],
    ['{"version":2}', "INCOMPATIBLE"],
    ...damaged.map((one) => [JSON.stringify(one), "CORRUPT"] as const),
  ] as const;
  for (const [text, code] of texts) {
    const target = newNatsLimit(server);
    const subject = `$KV.tandem_-limits.${target.split("/").at(-1)}.state`;
    connection.publish(subject, new TextEncoder().encode(text));
    await connection.flush();
    const [limit] = natsLimits(1, {}, target);
    await assertRejectsCode(limit!.acquire(), code);
  }
  await connection.close();
});

const stream = "KV_tandem_-limits";

interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>>;
  readonly state: { readonly bytes: number };
}

test("a bucket that is full is NO_SPACE, also for those that wait", async () => {
  const server = await startServer();
  const target = newNatsLimit(server);
  const [first, second] = natsLimits(2, {}, target);
  present(await first!.acquire()).release();
  await sees(first!, 0, 0);
  const raw = await rawConnection(server.address);
  const { config, state } = await raw.ask<StreamInfo>(`STREAM.INFO.${stream}`);
  await raw.ask(`STREAM.UPDATE.${stream}`, { ...config, max_bytes: state.bytes });
  for (const limit of [first!, second!]) {
    await assertRejectsCode(limit.acquire(), "NO_SPACE", "maximum bytes");
  }
});

test("a bucket with a lifetime of all that is in it is a MISMATCH", async () => {
  const server = await startServer();
  const raw = await rawConnection(server.address);
  const [first] = natsLimits(1, {}, newNatsLimit(server));
  await first!.ready;
  const { config } = await raw.ask<StreamInfo>(`STREAM.INFO.${stream}`);
  await raw.ask(`STREAM.UPDATE.${stream}`, { ...config, max_age: 3_600e9 });
  const [other] = natsLimits(1, { nats: { name: "other" } }, newNatsLimit(server));
  await assertRejectsCode(other!.acquire(), "MISMATCH", "max_age");
});

test("the server loses its last messages: objects go on, and no token is given twice", async () => {
  const [live, copy] = [join(folder(), "live"), join(folder(), "copy")];
  const config = `jetstream { store_dir: ${JSON.stringify(live)} }`;
  const first = await startServer(config);
  const target = newNatsLimit(first);
  const limits = natsLimits(2, { lease }, target);
  const [a, b] = limits;
  present(await a!.acquire()).release();
  await sees(b!, 0, 0);
  await kill(first);
  cpSync(live, copy, { recursive: true });
  const second = await startServer(config, first.port);
  let last = 0n;
  for (let count = 0; count < 5; count++) {
    using lock = present(await a!.acquire());
    last = lock.token;
  }
  const held = present(await a!.acquire());
  await sees(b!, 1, 0);
  await kill(second);
  rmSync(live, { recursive: true });
  cpSync(copy, live, { recursive: true });
  await startServer(config, first.port);
  const next = present(await b!.acquire());
  assert(next.token > held.token && held.token > last, `${next.token} after ${held.token}`);
  await eventually(() => !held.isHeld, "the lock that the server has lost ends");
});

test("resize() without a server: nothing waits for ever", async () => {
  const server = await startServer();
  const [limit, closing] = natsLimits(2, {}, newNatsLimit(server));
  await Promise.all([limit!.ready, closing!.ready]);
  await kill(server);
  await eventually(() => seen(limit!) === null);
  limit!.resize(5);
  await assertRejectsCode(limit!.acquire({ timeout: 0 }), "DISCONNECTED");
  const ready = doomed(closing!.ready);
  closing!.resize(5);
  closing!.close();
  await assertRejectsCode(ready, "CLOSED");
});

test("servers without JetStream are UNSUPPORTED", async () => {
  const bare = await startServer("");
  const [limit] = natsLimits(1, {}, newNatsLimit(bare));
  await assertRejectsCode(limit!.acquire(), "UNSUPPORTED");
  await assertRejectsCode(limit!.acquire({ timeout: 0 }), "UNSUPPORTED");
});

test("a refused login is PERMISSION", async () => {
  const locked = await startServer(
    `${withJetStream}\nauthorization { user: limits, password: secret }`,
  );
  const [refused] = natsLimits(1, {}, newNatsLimit(locked));
  await assertRejectsCode(refused!.acquire(), "PERMISSION");
  const nats = { user: "limits", pass: "secret" };
  const [allowed] = natsLimits(1, { nats }, refused!.target);
  present(await allowed!.acquire());
});

test("users need the permissions that the guide lists, and accounts JetStream", async () => {
  const stream = "KV_tandem_-limits";
  const may = [`INFO.${stream}`, `MSG.GET.${stream}`].map((end) => `"$JS.API.STREAM.${end}"`);
  may.push(`"$JS.API.CONSUMER.CREATE.${stream}"`, '"$KV.tandem_-limits.>"');
  const server = await startServer(`${withJetStream}
    accounts {
      A { jetstream: enabled, users: [
        { user: maker, password: secret },
        { user: user, password: secret, permissions: { publish: [${may}], subscribe: ["_INBOX.>"] } },
        { user: stranger, password: secret, permissions: { publish: ["other"] } },
      ] }
      B { users: [{ user: bare, password: secret }] }
    }`);
  const target = newNatsLimit(server);
  const limitOf = (user: string) =>
    natsLimits(1, { max: 2, nats: { user, pass: "secret" } }, target)[0]!;
  await assertRejectsCode(limitOf("user").acquire(), "PERMISSION");
  const first = present(await limitOf("maker").acquire());
  const second = present(await limitOf("user").acquire());
  assert(second.token > first.token);
  assertEquals([second.release(), first.isHeld], [true, true]);
  await assertRejectsCode(limitOf("stranger").acquire(), "PERMISSION");
  await assertRejectsCode(limitOf("bare").acquire(), "UNSUPPORTED");
});

test("`ready` waits for the server, tells why there is no hope, and ends with the limit", async () => {
  const gone = await startServer();
  const target = newNatsLimit(gone);
  await kill(gone);
  const [early, closed] = natsLimits(2, {}, target);
  const waiting = early!.ready;
  const ended = closed!.ready;
  closed!.close();
  await assertRejectsCode(ended, "CLOSED");
  await assertRejectsCode(closed!.ready, "CLOSED");
  await startServer(withJetStream, gone.port);
  await waiting;
  // What the server has told is known now.
  assertEquals(early!.holders(), []);
  await early!.ready;
  const plain = await startServer("authorization: { user: a, password: b }");
  const [refused] = natsLimits(1, {}, newNatsLimit(plain));
  await assertRejectsCode(refused!.ready, "PERMISSION");
});
