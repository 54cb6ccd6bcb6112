/**
 * Contenders at different servers share one place.
 *
 * @module
 */
import { Limit } from "../../../src/limit/main.ts";
import { limitsSettled } from "../../../src/nats/limit/farewells.ts";
import { leaderOf, NatsCluster } from "../../support/nats_cluster.ts";
import { eventually, sleep } from "../../support/processes.ts";
import type { Times } from "./times.ts";

/** Seconds until each contender gets the place again when a server was killed. */
const bar = 20;
/** So long that nobody waits for the end of one. */
const lease = 600_000;

export async function playLimit(times: Times, isFull: boolean): Promise<string> {
  await using cluster = await NatsCluster.start();
  const limits = [0, 1, 2].map((index) => new Limit(cluster.targetOf(index, "one"), { lease }));
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
  const flows = async (): Promise<number> => {
    const began = performance.now();
    const before = [...turns];
    const isFlowing = () => turns.every((count, index) => count > before[index]!);
    await Promise.race([all, eventually(isFlowing, "all get the place")]);
    return performance.now() - began;
  };
  await flows();
  for (let round = 0; round < (isFull ? 3 : 1); round++) {
    const leader = await leaderOf(cluster, "KV_tandem_-limits");
    const others = cluster.members.filter((member) => member !== leader);
    for (const member of isFull ? [leader, ...others] : [leader]) {
      const part = member === leader ? "the leader" : member.name;
      await member.kill();
      times.note(`${part} is killed`, await flows(), bar);
      member.restart();
      await cluster.formed();
      await flows();
    }
  }
  isOver = true;
  await all;
  for (const limit of limits) limit.close();
  await limitsSettled();
  return `${turns.reduce((sum, count) => sum + count, 0)} turns`;
}
