/**
 * Players take turns with something that a cluster of NATS servers keeps, while its servers are killed.
 *
 * @module
 */
import { leaderOf, type NatsCluster } from "../../support/nats_cluster.ts";
import { eventually } from "../../support/processes.ts";
import type { Times } from "./times.ts";

/** Seconds until each player has another turn when a server was killed. */
const bar = 20;

/** So long, in milliseconds, that nobody waits for the end of a lease. */
export const longLease = 600_000;

/**
 * Kills the leader of the bucket, and with `isFull` the others, too, and starts them again. Each time all players have to
 * get on.
 *
 * @param turns how many each player has had
 * @param playing rejects when something is wrong
 */
export async function killServers(
  cluster: NatsCluster,
  times: Times,
  isFull: boolean,
  turns: readonly number[],
  playing: Promise<unknown>,
): Promise<void> {
  const flows = async (): Promise<number> => {
    const began = performance.now();
    const before = [...turns];
    const isFlowing = () => turns.every((count, index) => count > before[index]!);
    await Promise.race([playing, eventually(isFlowing, "all get their turns")]);
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
}
