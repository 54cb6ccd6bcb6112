/**
 * The operations of servers.
 *
 * @module
 */
import type { SendOptions } from "../../../../mod.ts";
import type { Actor } from "../actor.ts";
import { type Operation, sent } from "../operation.ts";
import type { Scene } from "../scene.ts";
import { callCommand } from "./opening.ts";

/** The only server that takes requests. */
async function alone(scene: Scene): Promise<Actor> {
  await scene.rest();
  return await scene.joined("server");
}

/** It holds a request of a client that sleeps until the answer. */
async function holding(
  scene: Scene,
  payload: number | string,
  send: SendOptions,
  ...allowed: readonly string[]
): Promise<Actor> {
  const victim = await alone(scene);
  await scene.start(0, payload, send, ...allowed);
  await victim.expect("receive 0 0 -", 1);
  await scene.asleep();
  return victim;
}

/** It holds a posted request of a client that is gone, with that many deliveries. */
async function holdingPosted(scene: Scene, deliveries: number): Promise<Actor> {
  const victim = await alone(scene);
  const sender = await scene.joined("client");
  await sender.expect(`send 0 0 12 ${deliveries} - one-way`, ...sent);
  await sender.kill();
  await victim.expect("receive 0 0 -", 1);
  return victim;
}

/** It holds a request that its client has cancelled. */
async function holdingAbandoned(scene: Scene): Promise<Actor> {
  const victim = await alone(scene);
  const call = await scene.start(0, 12, { maxDeliveries: 2 }, "CANCELLED");
  await victim.expect("receive 0 0 -", 1);
  await call.cancel();
  return victim;
}

export const serving: readonly Operation[] = [
  {
    name: "receive, and another delivery is left",
    prepare: async (scene) => {
      const victim = await alone(scene);
      await scene.start(0, 5000, { maxDeliveries: 2 }, "answered");
      await scene.start(1, 12, { maxDeliveries: 1 }, "answered");
      return victim;
    },
    steps: [["receive 0 0 0", 1]],
  },
  {
    name: "receive, and no other delivery is left",
    prepare: async (scene) => {
      const victim = await alone(scene);
      await scene.start(0, 5000, { maxDeliveries: 1 }, "answered", "SERVER_DIED");
      await scene.start(1, 12, { maxDeliveries: 1 }, "answered");
      return victim;
    },
    steps: [["receive 0 0 0", 1]],
  },
  {
    name: "receive a posted request",
    prepare: async (scene) => {
      const victim = await alone(scene);
      await scene.client(0).post(12);
      return victim;
    },
    steps: [["receive 0 0 0", 1]],
    posted: 1,
  },
  {
    name: "receive behind cancelled calls",
    prepare: async (scene) => {
      const victim = await alone(scene);
      const canceller = await scene.joined("client");
      await canceller.expect("churn 0 3", 3);
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
      return victim;
    },
    steps: [["receive 0 0 0", 1]],
  },
  {
    name: "receive behind a request whose time is over",
    prepare: async (scene) => {
      const victim = await alone(scene);
      const sender = await scene.joined("client");
      await sender.expect("send 0 0 12 2 1", ...sent);
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
      await sender.expect("sleep 2", 0);
      return victim;
    },
    steps: [["receive 0 0 0", 1]],
  },
  {
    name: "receive a request whose redelivery a repairer has begun",
    prepare: async (scene) => {
      const victim = await alone(scene);
      const corpse = await scene.joined("server");
      const helper = await scene.joined("client");
      const { id } = await scene.start(0, 12, { maxDeliveries: 3 }, "answered");
      await corpse.expect("receive 0 0 0", 1);
      await scene.asleep();
      await scene.stopAll();
      await corpse.kill();
      await helper.prepare(callCommand(0, id));
      await helper.expect("insert-next 0 0", 1);
      return victim;
    },
    steps: [["receive 0 0 0", 1]],
  },
  {
    name: "receive in turn, while it works on another request",
    prepare: async (scene) => {
      const victim = await holding(scene, 12, { maxDeliveries: 2 }, "answered");
      await scene.start(1, 12, { maxDeliveries: 2 }, "answered");
      return victim;
    },
    steps: [["receive 0 1 -1", 1]],
  },
  {
    name: "receive in turn, and leave the request to a server that sleeps",
    prepare: async (scene) => {
      const victim = await holding(scene, 12, { maxDeliveries: 2 }, "answered");
      const idle = await scene.joined("server");
      await idle.expect("receive 0 0 -1", 0);
      await scene.start(1, 12, { maxDeliveries: 2 }, "answered");
      return victim;
    },
    steps: [["receive 0 1 -1", 2], ["receive 0 1 -1", 2]],
  },
  {
    name: "wait for a request in vain",
    prepare: alone,
    steps: [["receive 0 0 20", 0]],
  },
  {
    name: "wait for a request and get it",
    isJoint: true,
    prepare: async (scene) => {
      const victim = await alone(scene);
      const sender = await scene.joined("client");
      sender.begin("sleep 15\nsend 0 0 12 2 -");
      return victim;
    },
    steps: [["receive 0 0 -", 1]],
  },
  ...[0, 12, 5000].flatMap((length): Operation[] => [{
    name: `reply with ${length} bytes, and another delivery is left`,
    prepare: (scene) => holding(scene, length, { maxDeliveries: 2 }, "answered"),
    steps: [["reply 0 0 echo", 1]],
  }, {
    name: `reply with ${length} bytes, and no other delivery is left`,
    prepare: (scene) => holding(scene, length, { maxDeliveries: 1 }, "answered", "SERVER_DIED"),
    steps: [["reply 0 0 echo", 1]],
  }]),
  {
    name: "reply to a client that blocks",
    prepare: async (scene) => {
      const victim = await alone(scene);
      await scene.startBlocking(0, 5000, "answered");
      await victim.expect("receive 0 0 -", 1);
      await scene.asleep();
      return victim;
    },
    steps: [["reply 0 0 echo", 1]],
  },
  {
    name: "reply from memory that was reserved",
    prepare: (scene) => holding(scene, 5000, { maxDeliveries: 2 }, "answered"),
    steps: [["reserve 0 0 5000", 0], ["reply 0 0 5000", 1]],
  },
  {
    name: "reply as the second server",
    prepare: async (scene) => {
      const victim = await alone(scene);
      const first = await scene.joined("server");
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered", "SERVER_DIED");
      await first.expect("receive 0 0 0", 1);
      await first.kill();
      await scene.until({ queued: 1 });
      await victim.expect("receive 0 0 0", 1);
      await scene.asleep();
      return victim;
    },
    steps: [["reply 0 0 echo", 1]],
  },
  {
    name: "fail a request",
    prepare: (scene) => holding(scene, 12, { maxDeliveries: 2 }, "answered", "REMOTE"),
    steps: [["fail 0 0", 1]],
  },
  {
    name: "reply to a posted request",
    prepare: (scene) => holdingPosted(scene, 2),
    steps: [["reply 0 0 echo", 1]],
    posted: "until some point",
  },
  {
    name: "fail a posted request, and no other delivery is left",
    prepare: (scene) => holdingPosted(scene, 1),
    steps: [["fail 0 0", 1]],
  },
  {
    name: "reply to a request that was cancelled",
    prepare: holdingAbandoned,
    steps: [["reply 0 0 echo", 0]],
  },
  {
    name: "reply to a request that was cancelled, and others wait for the slot",
    prepare: async (scene) => {
      const victim = await holdingAbandoned(scene);
      const greedy = await scene.joined("client");
      for (let call = 0; call < 7; call++) await greedy.expect(`allocate 0 ${call} 12`, 1);
      for (const index of scene.clients.keys()) await scene.startWaiting(index, 12, "answered");
      await scene.asleep();
      return victim;
    },
    steps: [["reply 0 0 echo", 0]],
  },
  {
    name: "reply to a request whose time is over",
    prepare: async (scene) => {
      const victim = await alone(scene);
      // It does not look at its death watch.
      const sender = await scene.joined("client");
      // On a busy machine the time may be over before the victim has the request, which nobody is given then.
      for (let time = 30, call = 0;; time *= 2, call += 1) {
        await sender.expect(`send 0 ${call} 12 2 ${time}`, ...sent);
        if (await victim.prepare(`receive 0 0 ${time}`) === 0) continue;
        await sender.expect(`sleep ${time}`, 0);
        return victim;
      }
    },
    steps: [["reply 0 0 echo", 0]],
  },
];
