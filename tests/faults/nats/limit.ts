/**
 * Contenders at different servers share one place.
 *
 * @module
 */
import { Limit } from "../../../src/limit/main.ts";
import { limitsSettled } from "../../../src/nats/limit/farewells.ts";
import { NatsCluster } from "../../support/nats_cluster.ts";
import { sleep } from "../../support/processes.ts";
import type { Times } from "./times.ts";
import { killServers, longLease } from "./turns.ts";

export async function playLimit(times: Times, isFull: boolean): Promise<string> {
  await using cluster = await NatsCluster.start();
  const limits = [0, 1, 2].map((index) =>
    new Limit(cluster.targetOf(index, "one"), { lease: longLease })
  );
  const turns = [0, 0, 0];
  let isOver = false;
  let last = 0n;
  const all = Promise.all(limits.map(async (limit, index) => {
    while (!isOver) {
      const lock = (await limit.acquire())!;
      if (lock.token <= last) throw new Error(`token ${lock.token} after ${last}`);
      last = lock.token;
      if (limits.filter(({ isHeld }) => isHeld).length > 1) throw new Error("two hold the place");
      turns[index]! += 1;
      await sleep(1);
      lock.release();
    }
  }));
  await killServers(cluster, times, isFull, turns, all);
  isOver = true;
  await all;
  for (const limit of limits) limit.close();
  await limitsSettled();
  return `${turns.reduce((sum, count) => sum + count, 0)} turns`;
}
