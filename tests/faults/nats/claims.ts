/**
 * Nodes at different servers claim the same key in turn.
 *
 * @module
 */
import process from "node:process";
import { Server } from "../../../mod.ts";
import { unlinkChannel } from "../../../src/channel/channel.ts";
import { contenderOf, Limit } from "../../../src/limit/limit.ts";
import { limitsSettled } from "../../../src/nats/limit/farewells.ts";
import type { Claim } from "../../../src/node/main.ts";
import { startNode } from "../../../src/node/node.ts";
import { partsIn } from "../../support/far_parts.ts";
import { NatsCluster } from "../../support/nats_cluster.ts";
import { sleep } from "../../support/processes.ts";
import type { Times } from "./times.ts";
import { killServers, longLease } from "./turns.ts";

export async function playClaims(times: Times, isFull: boolean): Promise<string> {
  await using cluster = await NatsCluster.start();
  const group = `claims-${process.pid}`;
  const nodes = await Promise.all(cluster.members.map((_, index) => {
    const network = cluster.targetOf(index, "").replace(/\/$/, "");
    return startNode(
      { name: "player", group, network, lease: longLease },
      partsIn(`${group}.${index}`),
    );
  }));
  const turns = nodes.map(() => 0);
  const held: Set<Claim> = new Set();
  let isOver = false;
  let last = 0n;
  const all = Promise.all(nodes.map(async ({ registry }, index) => {
    while (!isOver) {
      // While no server leads, the outcome is an error.
      const claim = await registry.claim("roles", "leader", index).catch(() => null);
      if (claim) {
        if (claim.token <= last) throw new Error(`token ${claim.token} after ${last}`);
        last = claim.token;
        held.add(claim);
        if ([...held].filter(({ isHeld }) => isHeld).length > 1) throw new Error("two have it");
        turns[index]! += 1;
      }
      await sleep(1);
      if (claim) held.delete(claim);
      claim?.release();
      await sleep(5);
    }
  }));
  await killServers(cluster, times, isFull, turns, all);
  isOver = true;
  await all;
  for (const node of nodes) await node.close();
  await limitsSettled();
  for (const index of nodes.keys()) {
    Server.unlink(`${group}.${index}.nodes`);
    using tokens = new Limit(`lock__${group}.${index}.claims`);
    unlinkChannel(contenderOf(tokens).core.channel.path!);
  }
  return `${turns.reduce((sum, count) => sum + count, 0)} turns`;
}
