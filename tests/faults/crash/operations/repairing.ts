/**
 * Repairs for the dead, by a participant that dies in the middle of them.
 *
 * @module
 */
import type { Actor } from "../actor.ts";
import { type Operation, sent } from "../operation.ts";
import type { Scene } from "../scene.ts";
import { callCommand, comeAndFind } from "./opening.ts";

/** The victim, which will repair: it joined before any death. The survivors are stopped at the death. */
async function repairer(scene: Scene): Promise<Actor> {
  return await scene.joined("client");
}

/** A participant dies, and only the victim can see it. */
async function die(scene: Scene, corpse: Actor): Promise<void> {
  await scene.stopAll();
  await corpse.kill();
}

/** A client dies with calls in every state. */
async function deadClient(scene: Scene): Promise<void> {
  const corpse = await scene.joined("client");
  await corpse.expect("send 0 0 5000 2 -", ...sent);
  await corpse.expect("ready 0 0 -", 5000);
  await corpse.expect("send 0 1 hold 2 -", ...sent);
  await scene.until({ inFlight: 2, queued: 0 });
  await scene.rest();
  await corpse.expect("send 0 2 12 2 -", ...sent);
  await corpse.expect("send 0 3 12 2 - one-way", ...sent);
  await corpse.expect("allocate 0 4 12", 1);
  await die(scene, corpse);
}

/** A client dies between publishing and inserting. */
async function deadPoster(scene: Scene): Promise<void> {
  await scene.rest();
  const corpse = await scene.joined("client");
  await corpse.expect("allocate 0 0 12", 1);
  await corpse.expect("post-uninserted 0 0", 1);
  await die(scene, corpse);
}

/** A server dies with requests in every state. */
async function deadServer(scene: Scene): Promise<void> {
  await scene.rest();
  const corpse = await scene.joined("server");
  const poster = await scene.joined("client");
  await scene.start(0, 12, { maxDeliveries: 3 }, "answered");
  await scene.start(1, 5000, { maxDeliveries: 1 }, "SERVER_DIED");
  await poster.expect("send 0 0 12 2 - one-way", ...sent);
  await poster.expect("send 0 1 12 1 - one-way", ...sent);
  const left = await scene.start(0, 12, { maxDeliveries: 2 }, "CANCELLED");
  for (const call of [0, 1, 2, 3, 4]) await corpse.expect(`receive 0 ${call} 0`, 1);
  await left.cancel();
  await scene.asleep();
  await scene.stopAll();
  // A posted request outlives its sender; the dead server still holds it.
  await die(scene, corpse);
}

/** A process dies that served its own requests. */
async function deadPair(scene: Scene): Promise<void> {
  await scene.rest();
  const corpse = await scene.joined("server");
  await corpse.expect("open 1 client attach TARGET", 0);
  await corpse.expect("send 1 0 12 2 -", ...sent);
  await corpse.expect("send 1 1 12 1 -", ...sent);
  await corpse.expect("send 1 2 12 2 - one-way", ...sent);
  for (const call of [3, 4, 5]) await corpse.expect(`receive 0 ${call} 0`, 1);
  await die(scene, corpse);
}

/** A server dies while the ring is full, so that its request cannot be handed on yet. */
async function deadServerOfFullRing(scene: Scene): Promise<void> {
  await scene.rest();
  const corpse = await scene.joined("server");
  const filler = await scene.joined("client");
  await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
  await corpse.expect("receive 0 0 0", 1);
  const { id } = await scene.start(1, 12, { maxDeliveries: 1 }, "answered");
  await scene.stopAll();
  await filler.prepare(callCommand(0, id));
  await filler.expect("repeat 0 0 5000", 0);
  await die(scene, corpse);
}

/** A server dies asleep, with a bell and a notify descriptor. */
async function deadSleeper(scene: Scene): Promise<void> {
  await scene.rest();
  const corpse = await scene.joined("server");
  await corpse.prepare("notify-fd 0");
  await corpse.prepare("bell 0 datagram");
  await corpse.expect("watch 0", -1);
  await scene.stopAll();
  await corpse.expect("lie-down 0 requests", 0);
  await die(scene, corpse);
}

interface Death {
  readonly of: string;
  readonly stage: (scene: Scene) => Promise<void>;
  readonly posted?: number;
  /** The result of a look for the dead: 1 if there was a repair. */
  readonly swept?: number;
}

const deaths: readonly Death[] = [
  { of: "a client with calls in every state", stage: deadClient, posted: 1 },
  { of: "a client that has posted and not inserted", stage: deadPoster, posted: 1 },
  { of: "a server with requests in every state", stage: deadServer, posted: 1 },
  { of: "a process with both ends of its calls", stage: deadPair, posted: 1 },
  { of: "a server where the ring is full", stage: deadServerOfFullRing, swept: 0 },
  { of: "a server that sleeps", stage: deadSleeper },
];

export const repairing: readonly Operation[] = [
  ...deaths.map(({ of, stage, posted = 0, swept = 1 }): Operation => ({
    name: `repair ${of}`,
    prepare: async (scene) => {
      const victim = await repairer(scene);
      await stage(scene);
      return victim;
    },
    steps: [["sweep 0", swept]],
    posted,
  })),
  {
    name: "repair a participant whose connection the kernel has closed",
    prepare: async (scene) => {
      const victim = await repairer(scene);
      const corpse = await scene.joined("client");
      await corpse.expect("send 0 0 12 2 -", ...sent);
      await corpse.expect("ready 0 0 -", 12);
      await victim.expect("watch 0", -1);
      await scene.asleep();
      await die(scene, corpse);
      return victim;
    },
    steps: [["hung-up 0", 1]],
  },
  {
    name: "join and repair",
    prepare: async (scene) => {
      const victim = scene.actor();
      await victim.expect("open 1 client attach TARGET", 0);
      await victim.expect("close 1", 0);
      await deadServer(scene);
      return victim;
    },
    steps: [["open 0 server attach TARGET", 0]],
    after: comeAndFind,
    posted: 1,
  },
  {
    name: "receive, and find a server dead that held the only request",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("server");
      const corpse = await scene.joined("server");
      await scene.start(0, 12, { maxDeliveries: 3 }, "answered");
      await corpse.expect("receive 0 0 0", 1);
      await scene.asleep();
      await die(scene, corpse);
      return victim;
    },
    steps: [["receive 0 0 -", 1]],
  },
  {
    name: "wait for a slot, and find a client dead that had them all",
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      const corpse = await scene.joined("client");
      for (let call = 0; call < 8; call++) await corpse.expect(`allocate 0 ${call} 12`, 1);
      await die(scene, corpse);
      return victim;
    },
    steps: [["send 0 0 12 2 - block", ...sent]],
  },
  {
    name: "wait for an answer, and find the server dead",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("client");
      const corpse = await scene.joined("server");
      await victim.expect("send 0 0 12 1 -", ...sent);
      await corpse.expect("receive 0 0 0", 1);
      await die(scene, corpse);
      return victim;
    },
    steps: [["get 0 0 -", -4]],
  },
];
