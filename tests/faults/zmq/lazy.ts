/**
 * Lazy pirates: the same identity asks again over a new connection while the work goes on. One execution, and the answer
 * goes to the last connection: the clients close the ones before.
 *
 * @module
 */
import { check } from "../pool/stage.ts";
import type { Library, ZmqStage } from "./stage.ts";

const libraries: readonly Library[] = ["pyzmq", "zeromq"];

export async function lazy(stage: ZmqStage): Promise<string> {
  const calls = stage.size(2_000, 60);
  const clients = 10;
  const concurrency = clients * 8;
  const pool = await stage.workers({ min: 1, max: 1, concurrency, maxQueue: 1_000 });
  const summaries: string[] = [];
  for (const idFrame of [false, true]) {
    const door = await stage.door({ idFrame });
    const common = { endpoint: door.endpoint, clients, calls, idFrame, form: "req" } as const;
    const before = stage.ledger().ended;
    const outcomes = await Promise.all(libraries.flatMap((library) => [
      // As the contract has it, and at random.
      stage.load(library, {
        ...{ ...common, identity: `${library}-even` },
        ...{ work: [250, 250], patience: [100, 100] },
      }),
      stage.load(library, {
        ...{ ...common, identity: `${library}-odd` },
        ...{ work: [0, 400], patience: [20, 250] },
      }),
    ]));
    const stats = await door.settles("no call is in flight", ({ inFlight }) => inFlight === 0);
    await door.close();
    const ledger = stage.ledger();
    const all = outcomes.flat();
    for (const { id, end } of all) {
      check(end === "done", `call ${id} has failed with ${end}`);
      const { begun, ended, overlap } = ledger.of(id);
      check(begun === ended && !overlap, `call ${id} has run twice at once`);
      check(begun === 1 || !idFrame, `call ${id} has an id and has run ${begun} times`);
    }
    // Without ids, a call runs again when its answer was on the way while its client closed the connection.
    const runs = ledger.ended - before;
    const lost = stats.answers - all.length;
    check(
      runs - all.length <= lost,
      `${all.length} calls ran ${runs} times, and ${lost} answers were lost`,
    );
    check(stats.joined > all.length, `only ${stats.joined} requests have joined a call`);
    // Some of those that were dropped count as requests.
    const dropped = stats.requests - stats.joined - stats.repeated - runs;
    check(dropped >= 0 && dropped <= stats.overtaken, JSON.stringify(stats));
    summaries.push(
      `${all.length} calls ${
        idFrame ? "with" : "without"
      } ids, asked for ${stats.requests} times, ran ${runs} times`,
    );
  }
  await pool.close();
  return summaries.join("; ");
}
