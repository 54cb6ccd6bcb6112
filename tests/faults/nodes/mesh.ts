/**
 * A dozen nodes that all talk to each other are killed, stopped, closed and started anew at random. Each of them ends
 * its process when it sees something wrong (`dweller.ts`). Afterwards
 *
 * - the nodes that are left have had all that the others of them have sent,
 * - they agree on which nodes there are, and on what the registry has,
 * - the monitors of those that are gone have fired, each once,
 * - no key has had two holders at a time,
 * - they have no more descriptors and mappings than a node that has just come.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { check, pause, Tally } from "../pool/stage.ts";
import type { Runtime } from "../talker.ts";
import { auditClaims } from "./claims.ts";
import type { DwellerCommand } from "./dweller.ts";
import type { Report } from "./dwelling.ts";
import { atRest, closed, Crowd } from "./crowd.ts";
import { eventually, type NodeStage, type Player } from "./stage.ts";

const dwellers = 12;
/** So many are started anew at a time. */
const startsMax = 3;
/** What is kept for later: bells of others, also of two that are gone, and what a runtime opens when it needs it. */
const descriptorsSpare = 3 * dwellers;

export async function mesh(stage: NodeStage): Promise<string> {
  const crowd = new Crowd(stage);
  await crowd.fill(dwellers);
  const tally = await storm(stage, crowd, stage.size(600, 8) * 1_000);
  await crowd.fill(dwellers);
  const found = await atRest(crowd);
  await level(stage, crowd);
  await crowd.end();
  const claims = auditClaims(stage.notes);
  return `${dwellers} nodes, ${tally}: ${found.numbers} numbered messages between those that were left, ` +
    `none lost; ${found.ends} monitors have fired once, ${found.entries} entries are the same for all, ` +
    `${claims} claims had one holder at a time`;
}

async function storm(stage: NodeStage, crowd: Crowd, milliseconds: number): Promise<Tally> {
  const { random } = stage;
  const tally = new Tally();
  const end = performance.now() + milliseconds;
  let nextReport = performance.now() + 60_000;
  while (performance.now() < end) {
    await pause(random.between(10, 300));
    crowd.checkAlive();
    const what = random.weighted(
      [["killed", 4], ["stopped", 4], ["closed", 1], ["reopened", 2]] as const,
    );
    tally.add(what);
    await actions[what](stage, crowd);
    if (crowd.players.length <= dwellers - startsMax) await crowd.fill(dwellers);
    if (performance.now() < nextReport) continue;
    nextReport += 60_000;
    console.log(`  ${tally}, ${Math.round((end - performance.now()) / 1000)} s left`);
  }
  return tally;
}

const actions = {
  async killed(_: NodeStage, crowd: Crowd): Promise<void> {
    await crowd.remove((player) => player.killed());
  },
  async stopped({ random }: NodeStage, crowd: Crowd): Promise<void> {
    const stopped = new Set(Array.from({ length: 3 }, () => random.pick(crowd.players)));
    for (const player of stopped) player.deliver("SIGSTOP");
    await pause(random.between(0, 600));
    for (const player of stopped) player.deliver("SIGCONT");
  },
  async closed(_: NodeStage, crowd: Crowd): Promise<void> {
    await crowd.remove((player) => closed(player));
  },
  async reopened({ random }: NodeStage, crowd: Crowd): Promise<void> {
    const player = random.pick(crowd.players);
    await player.ask("the close", "close" satisfies DwellerCommand);
    await player.ask("another start", "open" satisfies DwellerCommand);
  },
};

/** One that has seen all of it has no more than one that has just come. */
async function level(stage: NodeStage, crowd: Crowd): Promise<void> {
  await crowd.players[0]!.ask("the claims", "claim all" satisfies DwellerCommand);
  const old = [...crowd.players];
  const fresh = new Map<Runtime, { descriptors: number; mappings: number }>();
  for (const runtime of stage.plan.runtimes) {
    const player = await crowd.add(runtime);
    // It has to know all others for that.
    await eventually(`the others, by ${player.title}`, async () => {
      const { nodes } = await player.ask<Report>("a report", "report" satisfies DwellerCommand);
      return nodes.length === crowd.players.length - 1 ? true : null;
    });
    await player.ask("the rest", "rest" satisfies DwellerCommand);
    fresh.set(runtime, { descriptors: player.descriptors, mappings: mappingsOf(stage, player) });
  }
  for (const player of old) {
    const { descriptors, mappings } = fresh.get(player.runtime)!;
    const known = `${player.title} has ${player.descriptors} descriptors and ` +
      `${mappingsOf(stage, player)} mappings, a new one ${descriptors} and ${mappings}`;
    check(player.descriptors <= descriptors + descriptorsSpare, known);
    check(mappingsOf(stage, player) <= mappings + descriptorsSpare, known);
  }
}

/** How many pieces of the nodes' files a process has in its memory. */
function mappingsOf({ folder }: NodeStage, { pid }: Player): number {
  return readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")
    .filter((line) => line.includes(folder)).length;
}
