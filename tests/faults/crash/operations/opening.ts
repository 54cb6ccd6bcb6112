/**
 * Creating, opening, closing and removing channels.
 *
 * @module
 */
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { type Operation, sent } from "../operation.ts";
import { type Scene, sizes } from "../scene.ts";

/** The survivors come when the creator is dead, and the first of them creates the channel if necessary. */
async function arrive(scene: Scene): Promise<void> {
  await scene.open();
}

/**
 * No death watch covers a participant that dies after it joined and before it announced itself. It owns only
 * its entry and perhaps its files. The next newcomer finds it.
 */
export function comeAndFind(scene: Scene): Promise<void> {
  scene.newcomer();
  return Promise.resolve();
}

/** The leftovers of an interrupted create with other options. */
function leaveZeros(path: string, bytes: number): void {
  const fd = openSync(path, "w", 0o600);
  if (bytes > 0) writeSync(fd, new Uint8Array(4096));
  ftruncateSync(fd, bytes);
  closeSync(fd);
}

export const opening: readonly Operation[] = [
  ...(["client", "server"] as const).flatMap((role): Operation[] => [{
    name: `create as a ${role}`,
    channel: "absent",
    async prepare(scene) {
      return await Promise.resolve(scene.actor());
    },
    steps: [[`open 0 ${role} create TARGET ${sizes}`, 0]],
    after: arrive,
  }]),
  {
    name: "create, and only that",
    channel: "absent",
    async prepare(scene) {
      return await Promise.resolve(scene.actor());
    },
    steps: [[`open 0 server new TARGET ${sizes}`, 0]],
    after: arrive,
  },
  {
    name: "create by name",
    channel: "absent",
    async prepare(scene) {
      scene.forgetHome();
      scene.useName("named");
      return await Promise.resolve(scene.actor());
    },
    steps: [[`open 0 server create TARGET ${sizes}`, 0]],
    after: arrive,
  },
  ...[0, 8192].map((bytes): Operation => ({
    name: `create in place of an interrupted create of ${bytes} bytes`,
    channel: "absent",
    async prepare(scene) {
      leaveZeros(scene.target, bytes);
      return await Promise.resolve(scene.actor());
    },
    steps: [[`open 0 server create TARGET ${sizes}`, 0]],
    after: arrive,
  })),
  {
    name: "create an anonymous channel",
    channel: "absent",
    async prepare(scene) {
      scene.makeHome();
      return await Promise.resolve(scene.actor());
    },
    steps: [[`open 0 server anonymous nameless ${sizes}`, 0]],
    async after(scene) {
      // The next one finds the leftovers, in any runtime.
      await Promise.all(scene.servers.map((server) => server.tell("anonymous")));
      scene.checkHome();
      await scene.open();
    },
  },
  ...(["client", "server"] as const).flatMap((role): Operation[] => [{
    name: `join as a ${role}`,
    async prepare(scene) {
      const victim = scene.actor();
      // Its entry is free again.
      await victim.expect("open 1 client attach TARGET", 0);
      await victim.expect("close 1", 0);
      // Waits until the woken ones sleep again, so that each run rings the same number.
      await scene.asleep();
      return victim;
    },
    steps: [[`open 0 ${role} attach TARGET`, 0]],
    after: comeAndFind,
  }, {
    name: `join as a ${role}, in an unused entry`,
    channel: "fresh",
    async prepare(scene) {
      return await Promise.resolve(scene.actor());
    },
    steps: [[`open 0 ${role} attach TARGET`, 0]],
    after: comeAndFind,
  }]),
  ...([["died on their way in", "joining"], ["died", "joined"]] as const).map((
    [fate, state],
  ): Operation => ({
    name: `join where the table is full, and some of them ${fate}`,
    channel: "fresh",
    async prepare(scene) {
      const crowd = await scene.joined("client");
      await scene.stopAll();
      await crowd.expect(`crowd 0 ${state} 3`, 0);
      return scene.actor();
    },
    steps: [["open 0 client attach TARGET", 0]],
    async after(scene) {
      // Now the whole crowd is dead, and each survivor finds room for another handle.
      await scene.settle();
      await scene.reopen();
    },
  })),
  {
    name: "close a client with calls in every state",
    async prepare(scene) {
      const victim = await scene.joined("client");
      await victim.expect("send 0 0 5000 2 -", ...sent);
      await victim.expect("ready 0 0 -", 5000);
      await victim.expect("send 0 1 hold 2 -", ...sent);
      await scene.until({ inFlight: 2, queued: 0 });
      await scene.rest();
      await victim.expect("send 0 2 12 2 -", ...sent);
      await victim.expect("send 0 3 12 2 - one-way", ...sent);
      await victim.expect("allocate 0 4 12", 1);
      return victim;
    },
    steps: [["close 0", 0]],
    posted: 1,
  },
  {
    name: "close a server that holds requests in every state",
    async prepare(scene) {
      await scene.rest();
      const victim = await scene.joined("server");
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
      await scene.start(1, 5000, { maxDeliveries: 1 }, "SERVER_DIED");
      await scene.client(0).post(12);
      const left = await scene.start(0, 12, { maxDeliveries: 2 }, "CANCELLED");
      for (const call of [0, 1, 2, 3]) await victim.expect(`receive 0 ${call} 0`, 1);
      await left.cancel();
      return victim;
    },
    steps: [["close 0", 0]],
    posted: 1,
  },
  {
    name: "close a server where the ring is full",
    async prepare(scene) {
      await scene.rest();
      const victim = await scene.joined("server");
      const filler = await scene.joined("client");
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered", "SERVER_DIED");
      await victim.expect("receive 0 0 0", 1);
      const { id } = await scene.start(1, 12, { maxDeliveries: 1 }, "answered");
      await scene.stopAll();
      await filler.prepare(callCommand(0, id));
      await filler.expect("repeat 0 0 5000", 0);
      return victim;
    },
    steps: [["close 0", 0]],
  },
  {
    name: "unlink a channel without participants",
    channel: "absent",
    async prepare(scene) {
      const maker = scene.actor();
      await maker.expect(`open 0 server create TARGET ${sizes}`, 0);
      await maker.expect("close 0", 0);
      return scene.actor();
    },
    steps: [["unlink TARGET", 1]],
    after: arrive,
  },
  {
    name: "unlink a channel with calls in flight",
    channel: "fresh",
    async prepare(scene) {
      await scene.start(0, "hold", { maxDeliveries: 2 }, "answered", "CANCELLED");
      await scene.until({ inFlight: 1, queued: 0 });
      await scene.rest();
      await scene.start(1, 5000, { maxDeliveries: 2 }, "answered", "CANCELLED");
      return scene.actor();
    },
    steps: [["unlink TARGET", 1]],
    async after(scene) {
      await scene.settle();
      await scene.reopen();
    },
  },
];

/** Gives an actor the id of another client's call. */
export function callCommand(call: number, id: bigint): string {
  const slot = id & 0xffffn;
  const low = (id >> 16n) & 0xffffffffn;
  return `call ${call} ${slot} ${low} ${id >> 48n}`;
}
