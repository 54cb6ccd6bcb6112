/**
 * Clients that we did not write call a pool whose workers are killed every 100 ms. Each call is answered once or fails
 * with a reason, and no call that was answered has run twice.
 *
 * @module
 */
import process from "node:process";
import type { ZmqDoorStats } from "../../../src/zmq/main.ts";
import { check, pause, Tally, until } from "../pool/stage.ts";
import type { Ledger } from "./ledger.ts";
import type { Outcome } from "./load.ts";
import type { Door, Load, ZmqStage } from "./stage.ts";

const workers = 6;
const killEvery = 100;
/** A call that was under way in a worker that was killed; a channel that had no room. */
const reasons = new Set(["done", "SERVER_DIED", "BUSY"]);

export async function storm(stage: ZmqStage): Promise<string> {
  const calls = stage.size(200_000, 1_000);
  const share = Math.floor(calls / 8);
  const pool = await stage.workers({ min: workers, max: workers });
  const plain = await stage.door();
  const withIds = await stage.door({ idFrame: true });
  // None of the plain ones gives up: then an answer could get lost, and its call run again.
  const patient = { endpoint: plain.endpoint, calls: share, clients: 6 };
  const pirates = { endpoint: withIds.endpoint, calls: share, clients: 6, idFrame: true };
  const hasty: Pick<Load, "patience"> = { patience: [5, 300] };
  const loads = [
    stage.load("pyzmq", { ...patient, form: "req", identity: "py-req", work: [0, 5] }),
    stage.load("zeromq", { ...patient, form: "req", work: [0, 5] }),
    stage.load("pyzmq", { ...patient, form: "dealer", clients: 2, outstanding: 8 }),
    stage.load("zeromq", { ...patient, form: "dealer", clients: 2, outstanding: 8 }),
    stage.load("pyzmq", { ...pirates, ...hasty, form: "req", identity: "py-id", work: [0, 20] }),
    stage.load("zeromq", { ...pirates, ...hasty, form: "req", identity: "node-id", work: [0, 20] }),
    stage.load("pyzmq", {
      ...{ ...pirates, ...hasty, form: "dealer", identity: "py-many" },
      ...{ clients: 2, outstanding: 8 },
    }),
    stage.load("zeromq", {
      ...{ ...pirates, ...hasty, form: "dealer", identity: "node-many" },
      ...{ clients: 2, outstanding: 8 },
    }),
  ];
  let isCalling = true;
  const calling = Promise.all(loads).finally(() => isCalling = false);
  // Its failure is handled below.
  calling.catch(() => {});
  let kills = 0;
  for (let next = performance.now(); isCalling;) {
    const ready = pool.workers().filter(({ state }) => state === "idle" || state === "busy");
    if (ready.length > 0 && kill(stage.random.pick(ready).pid)) kills += 1;
    next = Math.max(next + killEvery, performance.now());
    await pause(Math.max(0, next - performance.now()));
  }
  const outcomes = await calling;
  const stats = [await settled(plain), await settled(withIds)];
  const counted = stats.reduce((sum, { requests }) => sum + requests, 0);
  const joined = stats.reduce((sum, { joined, repeated }) => sum + joined + repeated, 0);
  await plain.close();
  await withIds.close();
  await until(() => pool.workers().length >= workers, "the pool is back at min");
  await pool.close();
  const verdict = audit(stage.ledger(), outcomes.flat());
  check(counted >= share * 8, `the doors have counted ${counted} requests`);
  return `${share * 8} calls, ${kills} workers killed: ${verdict}; ` +
    `${counted - share * 8} asked for again, ${joined} of them joined a call or got its answer`;
}

/** Every request has had its answer. */
function settled(door: Door): Promise<ZmqDoorStats> {
  return door.settles("no call is in flight", ({ inFlight }) => inFlight === 0);
}

function audit(ledger: Ledger, outcomes: readonly Outcome[]): string {
  const tally = new Tally();
  let again = 0;
  for (const { id, attempts, end } of outcomes) {
    tally.add(end);
    check(reasons.has(end), `call ${id} has failed with ${end}`);
    const { begun, ended, answered, overlap } = ledger.of(id);
    check(!overlap, `call ${id} has run twice at once`);
    // The error of a killed worker may not reach a client that asks again just then; it asks for another execution.
    check(begun <= 1 || attempts > 1, `call ${id} was asked for once and has begun ${begun} times`);
    if (end !== "done") continue;
    check(ended > 0, `call ${id} was answered and has never run`);
    check(answered <= 1, `call ${id} was answered and has run ${answered} times`);
    if (begun > 1) again += 1;
  }
  check(tally.of("done") > outcomes.length / 2, `too few answers: ${tally}`);
  return `${tally}; no answered call ran twice` +
    (again > 0 ? `, ${again} ran after a killed worker had begun them` : "");
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch {
    // The kill before has ended it meanwhile.
    return false;
  }
}
