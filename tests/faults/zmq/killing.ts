/**
 * Calls of a pool whose workers are killed, and what has to be true of them afterwards.
 *
 * @module
 */
import type { WorkerInfo } from "../../../src/pool/main.ts";
import type { ZmqDoorStats } from "../../../src/zmq/main.ts";
import { check, pause, Tally } from "../pool/stage.ts";
import { killWorker } from "../pool/victims.ts";
import type { Ledger } from "./ledger.ts";
import type { Outcome } from "./load.ts";
import type { Door, ZmqStage } from "./stage.ts";

const killEvery = 100;
/** A call that was under way in a worker that was killed; a channel that had no room. */
const reasons = new Set(["done", "SERVER_DIED", "BUSY"]);

/** Kills a worker every 100 ms until the loads have ended. */
export async function whileKilling(
  stage: ZmqStage,
  pool: { workers(): WorkerInfo[] },
  loads: readonly Promise<Outcome[]>[],
): Promise<{ outcomes: Outcome[]; kills: number }> {
  let isCalling = true;
  const calling = Promise.all(loads).finally(() => isCalling = false);
  // Its failure is handled below.
  calling.catch(() => {});
  let kills = 0;
  for (let next = performance.now(); isCalling;) {
    if (killWorker(pool, stage.random)) kills += 1;
    next = Math.max(next + killEvery, performance.now());
    await pause(Math.max(0, next - performance.now()));
  }
  return { outcomes: (await calling).flat(), kills };
}

/** Waits until every request has had its answer. */
export function settled(door: Door): Promise<ZmqDoorStats> {
  return door.settles("no call is in flight", ({ inFlight }) => inFlight === 0);
}

/** Each call was answered once or has failed with a reason, and none that was answered has run twice. */
export function audit(ledger: Ledger, outcomes: readonly Outcome[]): string {
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
