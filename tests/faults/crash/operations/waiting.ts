/**
 * Sleeping and waking.
 *
 * @module
 */
import { type Operation, sent } from "../operation.ts";
import type { Scene } from "../scene.ts";
import { greedy } from "./calling.ts";
import { comeAndFind } from "./opening.ts";

const bells = ["fifo", "datagram"] as const;

/** All leave and come back: with new bells, and to a new channel where the path has none. */
async function comeAnew(scene: Scene): Promise<void> {
  await scene.settle();
  await scene.reopen();
}

export const waiting: readonly Operation[] = [
  ...bells.flatMap((bell): Operation[] => [{
    name: `linger and lie down as a client with a ${bell}, and get up`,
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      await victim.expect("send 0 0 hold 2 - watched", ...sent);
      await scene.until({ inFlight: 1, queued: 0 });
      await scene.asleep();
      return victim;
    },
    steps: [
      [`bell 0 ${bell}`, 0],
      ["watch 0", -1],
      ["linger 0", 0],
      ["lie-down 0", 0],
      ["get-up 0", 0],
    ],
  }, {
    name: `lie down for a slot as a client with a ${bell}, and get up`,
    prepare: greedy,
    steps: [
      [`bell 0 ${bell}`, 0],
      ["watch 0", -1],
      ["lie-down 0 room", 0],
      ["get-up 0", 0],
    ],
  }, {
    name: `linger and lie down as a server with a ${bell}, and get up`,
    prepare: async (scene) => {
      await scene.rest();
      return await scene.joined("server");
    },
    steps: [
      [`bell 0 ${bell}`, 0],
      ["watch 0", -1],
      ["linger 0 requests", 0],
      ["lie-down 0 requests", 0],
      ["get-up 0", 0],
    ],
  }]),
  {
    name: "watch as a sentinel, lie down, get up, and leave",
    prepare: async (scene) => {
      await scene.rest();
      return await scene.joined("server");
    },
    steps: [
      ["keep-watch 0", 0],
      ["bell 0 fifo", 0],
      ["watch 0", -1],
      ["lie-down 0", 0],
      ["get-up 0", 0],
      ["close 0", 0],
    ],
  },
  {
    name: "follow boards, publish two, and leave",
    prepare: (scene) => scene.joined("client"),
    steps: [["follow 0", 0], ["board 0 5000", 0], ["board 0 12", 0], ["close 0", 0]],
  },
  {
    name: "post as a quiet client, and leave",
    prepare: async (scene) => {
      await scene.asleep();
      return scene.actor();
    },
    steps: [
      ["open 0 client quiet TARGET", 0],
      ["send 0 0 12 2 - one-way", ...sent],
      ["close 0", 0],
    ],
    posted: "from some point",
    // Nobody watches it.
    after: comeAndFind,
  },
  {
    name: "lie down where there is something to do",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("server");
      await victim.expect("bell 0 fifo", 0);
      await victim.expect("watch 0", -1);
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
      return victim;
    },
    steps: [["lie-down 0 requests", 1]],
  },
  {
    name: "lie down for a slot where one is free",
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      await victim.expect("bell 0 fifo", 0);
      await victim.expect("watch 0", -1);
      return victim;
    },
    steps: [["lie-down 0 room", 1]],
  },
  {
    name: "nudge",
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      await scene.asleep();
      await scene.stopAll();
      await victim.expect("send 0 0 12 2 - one-way", 2);
      return victim;
    },
    steps: [["nudge 0", 1], ["nudge 0", 1]],
    posted: 1,
  },
  {
    name: "ask for a notify descriptor, drain it and ring those of others",
    prepare: async (scene) => {
      await scene.rest();
      const other = await scene.joined("client");
      await other.expect("notify-fd 0", 0);
      const victim = await scene.joined("server");
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
      return victim;
    },
    steps: [["notify-fd 0", 0], ["drain 0", 0], ["notify 0", 0], ["drain 0", 0]],
  },
  {
    name: "adopt descriptors of relatives, drain the own and ring the peers'",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("server");
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
      return victim;
    },
    steps: [["adopt 0 own", 0], ["adopt 0 peer", 0], ["drain 0", 0], ["notify 0", 0], [
      "adopt 0 own",
      0,
    ]],
  },
  {
    name: "post where a server wants its notify descriptor rung",
    prepare: async (scene) => {
      await scene.rest();
      const other = await scene.joined("server");
      await other.expect("notify-fd 0", 0);
      return await scene.joined("client");
    },
    steps: [["send 0 0 12 2 - one-way", ...sent]],
    posted: "from some point",
  },
  {
    name: "post where the bells of the sleepers are gone",
    channel: "fresh",
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      await scene.asleep();
      scene.removeBells();
      return victim;
    },
    steps: [["send 0 0 12 2 - one-way", ...sent]],
    posted: "from some point",
    after: comeAnew,
  },
  {
    name: "reply where the bell of the one that asked is gone",
    channel: "fresh",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("server");
      await scene.start(0, 12, { maxDeliveries: 2 }, "answered");
      await victim.expect("receive 0 0 0", 1);
      await scene.asleep();
      scene.removeBells();
      return victim;
    },
    steps: [["reply 0 0 echo", 1]],
    after: comeAnew,
  },
  {
    name: "post where the notify descriptor of a server cannot be rung by path",
    channel: "fresh",
    prepare: async (scene) => {
      await scene.rest();
      const other = await scene.joined("server");
      await other.expect("notify-fd 0", 0);
      scene.removeBells();
      return await scene.joined("client");
    },
    steps: [["send 0 0 12 2 - one-way", ...sent]],
    posted: "from some point",
    after: comeAnew,
  },
  {
    name: "find the files removed when lying down, with calls in flight",
    channel: "fresh",
    prepare: async (scene) => {
      const victim = await scene.joined("server");
      await victim.expect("bell 0 fifo", 0);
      await victim.expect("watch 0", -1);
      await scene.start(0, "hold", { maxDeliveries: 2 }, "answered", "CANCELLED");
      await scene.until({ inFlight: 1, queued: 0 });
      await scene.rest();
      await scene.start(1, 5000, { maxDeliveries: 2 }, "answered", "CANCELLED");
      await scene.stopAll();
      scene.removeFiles();
      return victim;
    },
    steps: [["lie-down 0 requests", 1]],
    after: comeAnew,
  },
  {
    name: "find the files removed when a ring fails",
    channel: "fresh",
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      await scene.start(0, "hold", { maxDeliveries: 2 }, "answered", "CANCELLED");
      await scene.until({ inFlight: 1, queued: 0 });
      await scene.stopAll();
      scene.removeFiles();
      return victim;
    },
    steps: [["send 0 0 12 2 -", ...sent]],
    after: comeAnew,
  },
  {
    name: "close with a notify descriptor and a bell",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("server");
      await victim.expect("notify-fd 0", 0);
      await victim.expect("bell 0 fifo", 0);
      await victim.expect("watch 0", -1);
      await scene.stopAll();
      await victim.expect("lie-down 0 requests", 0);
      return victim;
    },
    steps: [["close 0", 0]],
  },
  {
    name: "post where a server sleeps in a blocking wait",
    prepare: async (scene) => {
      await scene.rest();
      scene.block(scene.server(0));
      await scene.asleep();
      return await scene.joined("client");
    },
    steps: [["send 0 0 12 2 - one-way", ...sent]],
  },
  {
    name: "join where a participant sleeps in a blocking wait",
    prepare: async (scene) => {
      await scene.rest();
      const victim = scene.actor();
      scene.block(scene.server(0));
      await scene.asleep();
      return victim;
    },
    steps: [["open 0 client attach TARGET", 0]],
    after: comeAndFind,
  },
];
