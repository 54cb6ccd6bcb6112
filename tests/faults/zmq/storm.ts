/**
 * Clients that we did not write call a pool whose workers are killed every 100 ms. Each call is answered once or fails
 * with a reason, and no call that was answered has run twice.
 *
 * @module
 */
import { check, until } from "../pool/stage.ts";
import { audit, settled, whileKilling } from "./killing.ts";
import type { Load, ZmqStage } from "./stage.ts";

const workers = 6;

export async function storm(stage: ZmqStage): Promise<string> {
  const calls = stage.size(12_000, 1_000);
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
  const { outcomes, kills } = await whileKilling(stage, pool, loads);
  const stats = [await settled(plain), await settled(withIds)];
  const counted = stats.reduce((sum, { requests }) => sum + requests, 0);
  const joined = stats.reduce((sum, { joined, repeated }) => sum + joined + repeated, 0);
  await plain.close();
  await withIds.close();
  await until(() => pool.workers().length >= workers, "the pool is back at min");
  await pool.close();
  const verdict = audit(stage.ledger(), outcomes);
  check(counted >= share * 8, `the doors have counted ${counted} requests`);
  return `${share * 8} calls, ${kills} workers killed: ${verdict}; ` +
    `${counted - share * 8} asked for again, ${joined} of them joined a call or got its answer`;
}
