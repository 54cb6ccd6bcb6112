/** Clients of ZeroMQ and a pool. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TandemError } from "../../mod.ts";
import { Pool } from "../../src/pool/main.ts";
import type { ZmqFrontend } from "../../src/zmq/main.ts";
import { zmqRequestSync } from "../../src/zmq/main.ts";
import { eventually, newTarget, test } from "../support/harness.ts";
import { startPool, workerFile } from "../support/pool.ts";

type Api = (payload: Uint8Array) => Promise<unknown>;

const file = workerFile("zmq_worker.ts");
const frontend = "tcp://127.0.0.1:0";

async function openPool(options: { target?: string } & ZmqFrontend = {}): Promise<Pool<Api>> {
  const { target, ...zmq } = options;
  const pool = startPool<Api>({
    min: 1,
    max: 1,
    ...target !== undefined && { target },
    zmq: { frontend, ...zmq },
  }, file);
  await pool.ready;
  return pool;
}

/** The frames of the answer. The worker is another process, and the door another thread. */
function ask(pool: Pool<Api>, payload: string): string[] {
  const answer = zmqRequestSync(pool.door!.endpoint, payload, { timeout: 120_000, attempts: 1 });
  assert(answer, "there is an answer");
  return answer.map((frame) => new TextDecoder().decode(frame));
}

test("pool: clients of ZeroMQ call the function that the workers serve", async () => {
  const pool = await openPool();
  assertEquals(ask(pool, "upper two words"), ["TWO WORDS"]);
  assertEquals(ask(pool, ""), [""]);
  const { address, pid } = JSON.parse(ask(pool, "who")[0]!);
  assertEquals(address, "127.0.0.1");
  assert(pid > 0);
  // The door counts an answer when it has sent it.
  await eventually(() => pool.door!.stats().answers === 3, "the answers are counted");
});

test("pool: a client of ZeroMQ gets the error of its call, and the pool goes on", async () => {
  const pool = await openPool();
  const [mark, code, message] = ask(pool, "throw no such picture");
  assertEquals([mark, code], ["TANDEM-ERROR", "REMOTE"]);
  assert(message!.includes("no such picture"), message);
  assertEquals(ask(pool, "object").slice(0, 2), ["TANDEM-ERROR", "NOT_SERIALIZABLE"]);
  const [pid] = ask(pool, "pid");
  assertEquals(ask(pool, "die").slice(0, 2), ["TANDEM-ERROR", "SERVER_DIED"]);
  await eventually(
    () => pool.workers().some((worker) => worker.state === "idle" && String(worker.pid) !== pid),
    "the worker is replaced",
  );
  assertEquals(ask(pool, "upper a"), ["A"]);
});

test("pool: a door at an address that is in use is an error of `ready`", async () => {
  const first = await openPool();
  const second = startPool<Api>({
    min: 1,
    max: 1,
    zmq: { frontend: first.door!.endpoint },
  }, file);
  const error = await assertRejects(() => second.ready, TandemError);
  assertEquals(error.code, "EXISTS");
});

test("pool: wrong options of a door are errors at once", () => {
  const open = (zmq: unknown) => () => new Pool(file, { zmq: zmq as ZmqFrontend });
  assertThrows(open("tcp://127.0.0.1:6660"), TypeError, "options of a ZeroMQ door");
  assertThrows(open({ frontend: "127.0.0.1:6660" }), TypeError, "tcp://HOST:PORT");
  assertThrows(open({ highWaterMark: 0 }), RangeError, "highWaterMark");
});

test("pool: a drained pool takes no requests of ZeroMQ, and closes its door", async () => {
  const pool = await openPool();
  const { door } = pool;
  assertEquals(ask(pool, "upper a"), ["A"]);
  assertEquals(await pool.drain(), true);
  await door!.finished;
  await pool.close();
});

test("pool: a supervisor that takes over a target opens the door when the other one has closed it", async () => {
  const target = newTarget();
  const first = await openPool({ target });
  const { endpoint } = first.door!;
  const second = startPool<Api>({
    min: 1,
    max: 1,
    target,
    handOver: true,
    zmq: { frontend: endpoint },
  }, file);
  await second.ready;
  await first.finished;
  assertEquals(second.door!.endpoint, endpoint);
  assertEquals(ask(second, "upper b"), ["B"]);
});
