/** Which calls over NATS are made again, how long, and which never: a server goes, and may come back. */
import { assert, assertEquals } from "@std/assert";
import { type CallRecord, connect, type Remote, serve, withOptions } from "../../mod.ts";
import {
  afterEnd,
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  pattern,
  sleep,
  test,
} from "../support/harness.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { hasNats, newNatsTarget } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats_server.ts";
import { assertEndsSoonWith } from "../support/rpc_helper.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

/** Longer than three attempts take that follow one another. */
const aWhile = 300;

/** A server of this test alone. */
async function newServer(port = -1): Promise<NatsServer> {
  const server = await startNatsServer("", port);
  afterEnd(linksClosed);
  afterEnd(() => server.kill());
  return server;
}

interface Api {
  again(name: string): string;
  once(name: string): string;
  measure(bytes: Uint8Array): number;
}

/** A service whose calls wait, and a remote of it. */
class Scene {
  readonly remote: Remote<Api>;
  /** The calls that have begun, by their names. */
  readonly begun: string[] = [];
  readonly records: CallRecord[] = [];
  readonly #gate = Promise.withResolvers<void>();

  constructor(target: string, timeout = 60_000, concurrency = 16) {
    const wait = async (name: string) => {
      this.begun.push(name);
      await this.#gate.promise;
      return name;
    };
    const measure = (bytes: Uint8Array) => bytes.byteLength;
    const service = serve(target, { again: wait, once: wait, measure }, { concurrency });
    this.remote = connect<Api>(target, {
      timeout,
      idempotent: ["again", "measure"],
      onCall: (record) => void this.records.push(record),
    });
    atEnd(async () => {
      this.remote[Symbol.dispose]();
      await service.close({ timeout: 0 });
    });
  }

  /** Lets all calls end, also those to come. */
  letGo(): void {
    this.#gate.resolve();
  }

  /** How many attempts the last call has made. */
  get attempts(): number {
    return this.records.at(-1)!.attempts;
  }
}

test(
  "NATS: the link is lost and comes back in time: idempotent calls are answered, others are never sent twice",
  async () => {
    const first = await newServer();
    const scene = new Scene(`nats://${first.address}/again`);
    const { remote, begun } = scene;
    const under = doomed(remote.again("under way"));
    const once = doomed(remote.once("under way once"));
    await eventually(() => begun.length === 2, "both have begun");
    await first.kill();
    await assertRejectsCode(once, "UNKNOWN_OUTCOME");
    await assertRejectsCode(remote.once("later once"), "DISCONNECTED");
    const later = doomed(remote.again("later"));
    const bytes = doomed(remote.measure(pattern(3_000_000, 1)));
    await sleep(aWhile);
    await newServer(first.port);
    scene.letGo();
    assertEquals(await Promise.all([under, later, bytes]), ["under way", "later", 3_000_000]);
    assertEquals(begun.toSorted(), ["later", "under way", "under way", "under way once"]);
  },
  { skip },
);

test(
  "NATS: the link stays down: attempts end with the time, with one, or with a signal",
  async () => {
    const server = await newServer();
    const scene = new Scene(`nats://${server.address}/down`, 1_000);
    const { remote, begun } = scene;
    const under = doomed(remote.again("under way"));
    await eventually(() => begun.length === 1, "it has begun");
    await server.kill();
    // The attempts after the first did nothing, but that one may have.
    await assertRejectsCode(under, "UNKNOWN_OUTCOME", "may or may not");
    assert(scene.attempts > 3, `${scene.attempts}`);
    await assertRejectsCode(remote.again("later"), "DISCONNECTED");
    assert(scene.attempts > 3, `${scene.attempts}`);
    const patient = withOptions(remote, { timeout: 60_000 });
    await assertRejectsCode(
      withOptions(patient, { retry: { attempts: 1 } }).again("x"),
      "DISCONNECTED",
    );
    assertEquals(scene.attempts, 1);
    // Pauses of nothing would keep the thread busy.
    const eager = withOptions(remote, { timeout: 500, retry: { delay: 0, maxDelay: 0 } });
    await assertRejectsCode(eager.again("x"), "DISCONNECTED");
    assert(scene.attempts <= 60, `${scene.attempts}`);
    const stop = new AbortController();
    const stopped = doomed(withOptions(patient, { signal: stop.signal }).again("x"));
    await sleep(aWhile);
    stop.abort(new RangeError("enough"));
    assertEquals((await stopped.then(() => null, (error) => error)).message, "enough");
    assertEquals(begun, ["under way"]);
  },
  { skip },
);

test("NATS: a call within a call is not made again after the time of the outer one", async () => {
  const server = await newServer();
  const scene = new Scene(`nats://${server.address}/inner`, Infinity);
  scene.letGo();
  assertEquals(await scene.remote.again("up"), "up");
  const target = newNatsTarget();
  const inner = Promise.withResolvers<unknown>();
  await using _service = serve(target, {
    ask: () => scene.remote.again("inner").catch(inner.resolve),
  });
  using outer = connect<{ ask(): Promise<void> }>(target, { timeout: 500 });
  await server.kill();
  await eventually(async () => {
    const code = await scene.remote.once("down").catch((error) => error.code);
    // Until the link is known to be lost, a call may be sent.
    assert(code === "DISCONNECTED" || code === "UNKNOWN_OUTCOME", code);
    return code === "DISCONNECTED";
  });
  void doomed(outer.ask());
  assertEquals((await inner.promise as { code: string }).code, "DISCONNECTED");
}, { skip });

test("NATS: no room and no service: what attempts are for, and what waits anyway", async () => {
  const target = newNatsTarget();
  const scene = new Scene(target, 60_000, 1);
  const { remote, begun } = scene;
  const held = remote.again("held");
  await eventually(() => begun.length === 1, "it has begun");
  const hasty = withOptions(remote, { whenFull: "fail" });
  await assertRejectsCode(hasty.again("x"), "BUSY");
  assertEquals(scene.attempts, 3);
  await assertRejectsCode(hasty.once("x"), "BUSY");
  assertEquals(scene.attempts, 1);
  // One attempt waits for room as long as it may, whether or not the method is idempotent.
  for (const method of ["again", "once"] as const) {
    await assertEndsSoonWith("BUSY", (timeout) => withOptions(remote, { timeout })[method]("x"));
    assertEquals(scene.attempts, 1);
  }
  scene.letGo();
  assertEquals(await held, "held");
  assertEquals(begun, ["held"]);
  const records: CallRecord[] = [];
  using nobody = connect<Api>(newNatsTarget(), {
    timeout: 100,
    idempotent: true,
    onCall: (record) => void records.push(record),
  });
  await assertRejectsCode(nobody.again("x"), "NO_SERVER");
  await assertRejectsCode(withOptions(nobody, { whenAbsent: "fail" }).again("x"), "NO_SERVER");
  assertEquals(records.map(({ attempts }) => attempts), [1, 1]);
}, { skip });
