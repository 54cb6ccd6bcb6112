/**
 * Nodes go on with all that they do while another one, which has joined as it should, writes garbage into their
 * mailboxes and on its board, and while a process scribbles over the mailbox of that one. They lose nothing among
 * themselves, their memory does not grow, and they do not crash.
 *
 * At last the memory in which they all meet is scribbled over. Then they may lose everything but their lives: they still
 * answer, can be closed, and start anew in the same processes.
 *
 * @module
 */
import { readFileSync, rmSync } from "node:fs";
import { check, pause, Tally } from "../pool/stage.ts";
import { buildFuzzer, fuzzer, Talker } from "../talker.ts";
import { atRest, Crowd } from "./crowd.ts";
import { type NodeStage, type Player, watch } from "./stage.ts";

const dwellers = 6;
/** Beyond what a process has used before it has met an intruder. */
const growthMax = 200 * 2 ** 20;
/** What a process may say of all the garbage. */
const remarksMax = 100_000;

export async function hostile(stage: NodeStage): Promise<string> {
  buildFuzzer();
  const crowd = new Crowd(stage);
  await crowd.fill(dwellers);
  await crowd.tell("report");
  const before = new Map(crowd.players.map((player) => [player, residentBytes(player)]));
  const tally = new Tally();
  let posts = 0;
  const lives = stage.size(60, 3);
  for (let life = 0; life < lives; life++) {
    posts += await intrude(stage, crowd, life, tally);
    if (stage.plan.isFull && life % 10 === 9) console.log(`  ${life + 1} intruders`);
  }
  const found = await atRest(crowd);
  for (const player of crowd.players) {
    const growth = residentBytes(player) - before.get(player)!;
    check(growth < growthMax, `${player.title} has ${growth} bytes more than before`);
  }
  await wreck(stage, crowd);
  const after = await atRest(crowd);
  await crowd.players[0]!.ask("the claims", "claim all");
  await crowd.end(remarksMax);
  return `${lives} intruders (${tally}) have posted ${posts} batches to ${dwellers} nodes: ` +
    `${found.numbers} numbered messages between these, none lost; ` +
    `${after.numbers} after the memory was wrecked and made anew`;
}

/** Lets one intruder do what it does for a while. */
async function intrude(
  stage: NodeStage,
  crowd: Crowd,
  life: number,
  tally: Tally,
): Promise<number> {
  const { random } = stage;
  const intruder = await stage.start(stage.runtimeOf(life), "intruder", {
    seed: random.between(0, 2 ** 30),
  });
  const mailbox = await intruder.hear<string>("its mailbox");
  const isScribbled = life % 2 === 1;
  tally.add(isScribbled ? "with a scribbled mailbox" : "alone");
  const scribbler = isScribbled
    ? await scribble(mailbox, random.pick([0, 1_000, 1_000_000]))
    : null;
  await pause(stage.size(4_000, 1_200));
  crowd.checkAlive();
  const counts = { posts: 0 };
  if (scribbler) {
    scribbler.kill();
    await scribbler.closed;
  } else Object.assign(counts, await intruder.ask("the count", "count"));
  intruder.kill();
  await intruder.closed;
  // It may have failed with what was written over; but no process crashes.
  check(
    intruder.signal === null || intruder.signal === "SIGKILL",
    `${intruder.title} ${intruder.end}`,
  );
  return counts.posts;
}

async function scribble(path: string, pause: number): Promise<Talker> {
  const scribbler = new Talker("scribbler", [fuzzer, "--scribble", path, "--pause", `${pause}`]);
  await scribbler.line(watch("the scribbler"));
  return scribbler;
}

/** Scribbles over what all nodes share, removes it, and lets them start anew. */
async function wreck(stage: NodeStage, crowd: Crowd): Promise<void> {
  const { random, hall } = stage;
  for (let round = stage.size(10, 2); round > 0; round--) {
    await crowd.tell("endure");
    const mailboxes = stage.files().filter((name) => /\/p\d+-[^/.]*$/.test(name))
      .map((name) => `${stage.folder}/${name}`);
    const paths = round % 2 === 0 ? [hall] : [hall, random.pick(mailboxes)];
    const pauses = [0, 1_000, 1_000_000];
    const scribblers = await Promise.all(paths.map((path) => scribble(path, random.pick(pauses))));
    await pause(1_000);
    crowd.checkAlive();
    // They answer.
    await crowd.tell("report");
    for (const scribbler of scribblers) {
      scribbler.kill();
      await scribbler.closed;
    }
    await crowd.tell("close");
    rmSync(hall, { force: true });
    rmSync(`${hall}.bells`, { recursive: true, force: true });
    await crowd.tell("open");
  }
  await pause(1_000);
}

/** The memory that a process uses for itself. */
function residentBytes({ pid }: Player): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)![1]) * 1024;
}
