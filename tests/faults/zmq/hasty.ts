/**
 * Pirates that ask again so soon that their next connection often meets the answer to the one before. With ids, each
 * call runs once, and no connection gets an answer twice: a REQ socket would take it for that of its next call.
 *
 * @module
 */
import { check } from "../pool/stage.ts";
import type { Library, ZmqStage } from "./stage.ts";

const libraries: readonly Library[] = ["pyzmq", "zeromq"];

export async function hasty(stage: ZmqStage): Promise<string> {
  const calls = stage.size(100_000, 1_000);
  const pool = await stage.workers({ min: 2, max: 2, concurrency: 8 });
  const door = await stage.door({ idFrame: true });
  const common = { endpoint: door.endpoint, calls, idFrame: true } as const;
  const times = { patience: [5, 60], work: [0, 20] } as const;
  const outcomes = await Promise.all(libraries.flatMap((library) => [
    stage.load(library, {
      ...{ ...common, ...times, form: "req", clients: 6, identity: `${library}-one` },
    }),
    stage.load(library, {
      ...{ ...common, ...times, form: "dealer", clients: 2, outstanding: 8 },
      identity: `${library}-many`,
    }),
  ]));
  const stats = await door.settles("no call is in flight", ({ inFlight }) => inFlight === 0);
  await door.close();
  await pool.close();
  const ledger = stage.ledger();
  const all = outcomes.flat();
  for (const { id, end } of all) {
    check(end === "done", `call ${id} has failed with ${end}`);
    check(ledger.of(id).begun === 1, `call ${id} has run ${ledger.of(id).begun} times`);
  }
  return `${all.length} calls, asked for ${stats.requests} times over ${stats.accepted} connections, ran ` +
    `once each; ${stats.joined} joined, ${stats.repeated} repeated, ${stats.overtaken} overtaken`;
}
