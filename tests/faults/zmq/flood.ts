/**
 * As many calls as the clients can make, of a pool whose workers are killed every 100 ms. The clients do not give up, so
 * each call is asked for once: it runs once at most.
 *
 * @module
 */
import { check, until } from "../pool/stage.ts";
import { audit, settled, whileKilling } from "./killing.ts";
import type { ZmqStage } from "./stage.ts";

const workers = 6;

export async function flood(stage: ZmqStage): Promise<string> {
  const calls = stage.size(200_000, 4_000);
  const share = Math.floor(calls / 4);
  const pool = await stage.workers({ min: workers, max: workers });
  const door = await stage.door();
  const common = { endpoint: door.endpoint, calls: share } as const;
  const loads = (["pyzmq", "zeromq"] as const).flatMap((library) => [
    stage.load(library, { ...common, form: "dealer", clients: 4, outstanding: 16 }),
    stage.load(library, { ...common, form: "req", clients: 16, identity: `${library}-req` }),
  ]);
  const { outcomes, kills } = await whileKilling(stage, pool, loads);
  const { requests, joined } = await settled(door);
  await door.close();
  await until(() => pool.workers().length >= workers, "the pool is back at min");
  await pool.close();
  const verdict = audit(stage.ledger(), outcomes);
  check(requests === share * 4 && joined === 0, `the door has counted ${requests} requests`);
  return `${share * 4} calls, ${kills} workers killed: ${verdict}`;
}
