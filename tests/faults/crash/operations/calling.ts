/**
 * The operations of clients.
 *
 * @module
 */
import type { Actor } from "../actor.ts";
import { type Operation, sent, status } from "../operation.ts";
import { options, type Scene } from "../scene.ts";
import { callCommand } from "./opening.ts";

/** A client; the servers sleep and are stopped, so that none takes its requests. */
async function alone(scene: Scene): Promise<Actor> {
  const victim = await scene.joined("client");
  await scene.asleep();
  await scene.stopAll();
  return victim;
}

/** A client whose calls 0, 1, … are answered. */
async function answered(scene: Scene, ...lengths: readonly number[]): Promise<Actor> {
  const victim = await scene.joined("client");
  for (const [call, length] of lengths.entries()) {
    await victim.expect(`send 0 ${call} ${length} 2 -`, ...sent);
    await victim.expect(`ready 0 ${call} -`, length);
  }
  await scene.asleep();
  return victim;
}

/** A client whose call 0 a living server holds. */
async function held(scene: Scene): Promise<Actor> {
  const victim = await scene.joined("client");
  await victim.expect("send 0 0 hold 2 -", ...sent);
  await scene.until({ inFlight: 1, queued: 0 });
  await scene.asleep();
  return victim;
}

/** A client that holds all slots, as drafts. */
export async function greedy(scene: Scene): Promise<Actor> {
  const victim = await scene.joined("client");
  for (let call = 0; call < options.slots; call++) {
    await victim.expect(`allocate 0 ${call} 12`, 1);
  }
  return victim;
}

/** All clients wait for a slot. */
async function crave(scene: Scene): Promise<void> {
  for (const index of scene.clients.keys()) await scene.startWaiting(index, 12, "answered");
  await scene.asleep();
}

export const calling: readonly Operation[] = [
  ...[0, 1, 12, 5000].flatMap((length): Operation[] => [{
    name: `send ${length} bytes`,
    prepare: alone,
    steps: [[`send 0 0 ${length} 2 -`, ...sent]],
  }, {
    name: `post ${length} bytes`,
    prepare: alone,
    steps: [[`send 0 0 ${length} 2 - one-way`, ...sent]],
    posted: "from some point",
  }, {
    name: `get an answer of ${length} bytes`,
    prepare: (scene) => answered(scene, length),
    steps: [["get 0 0 -", length]],
  }]),
  ...[12, 5000].map((length): Operation => ({
    name: `post ${length} bytes that are passed on`,
    prepare: alone,
    steps: [[`send 0 0 ${length} 2 - one-way forwarded`, ...sent]],
    posted: "from some point",
  })),
  {
    name: "send in an unused slot",
    channel: "fresh",
    prepare: alone,
    steps: [["send 0 0 5000 2 -", ...sent], ["send 0 1 12 2 -", ...sent]],
  },
  {
    name: "send with a deadline, to be waited for by an event loop",
    prepare: alone,
    steps: [["send 0 0 12 2 60000 watched", ...sent], ["watch-call 0 0", 1], ["poll 0", 0]],
  },
  {
    name: "send where no slot is free, without waiting",
    prepare: async (scene) => {
      const victim = await greedy(scene);
      await scene.stopAll();
      return victim;
    },
    steps: [["send 0 8 12 2 -", 0]],
  },
  {
    name: "wait for a slot until the deadline",
    prepare: async (scene) => {
      const victim = await greedy(scene);
      await scene.stopAll();
      return victim;
    },
    steps: [["send 0 8 12 2 20 block", status.busy]],
  },
  {
    name: "wait for a slot and get it",
    isJoint: true,
    prepare: async (scene) => {
      const owner = await greedy(scene);
      const victim = await scene.joined("client");
      // At some moment while the victim waits.
      owner.begin("sleep 15\ncancel 0 0 draft");
      return victim;
    },
    steps: [["send 0 8 12 2 - block", ...sent]],
  },
  {
    name: "request and get the answer",
    isJoint: true,
    prepare: (scene) => scene.joined("client"),
    steps: [["request 0 5000 2 -", 5000], ["request 0 12 2 60000", 12]],
  },
  {
    name: "request and run out of time",
    prepare: alone,
    steps: [["request 0 12 2 20", status.timeout]],
  },
  {
    name: "wait for an answer and leave the call open",
    prepare: alone,
    steps: [["send 0 0 12 2 -", ...sent], ["ready 0 0 8", status.timeout]],
  },
  {
    name: "look for an answer without waiting, and run out of the call's time",
    prepare: alone,
    steps: [["send 0 0 12 2 1", ...sent], ["sleep 2", 0], ["get 0 0 0", status.timeout]],
  },
  {
    name: "release an answer",
    prepare: (scene) => answered(scene, 12),
    steps: [["ready 0 0 -", 12], ["cancel 0 0 release", 0]],
  },
  ...(["keep", "time-out"] as const).flatMap((how): Operation[] => [{
    name: `cancel (${how}) a call that is queued`,
    prepare: async (scene) => {
      const victim = await alone(scene);
      await victim.expect("send 0 0 5000 2 -", ...sent);
      return victim;
    },
    steps: [[`cancel 0 0 ${how}`, 1]],
  }, {
    name: `cancel (${how}) a call that a server holds`,
    prepare: held,
    steps: [[`cancel 0 0 ${how}`, 1]],
  }, {
    name: `cancel (${how}) a call that is answered`,
    prepare: (scene) => answered(scene, 12),
    steps: [[`cancel 0 0 ${how}`, 0]],
  }]),
  {
    name: "cancel another client's call that is queued",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("client");
      const { id } = await scene.start(0, 12, { maxDeliveries: 2 }, "answered", "CANCELLED");
      await victim.prepare(callCommand(0, id));
      await scene.asleep();
      return victim;
    },
    steps: [["cancel 0 0 keep", 1]],
  },
  {
    name: "cancel another client's call that a server holds",
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      const { id } = await scene.start(0, "hold", { maxDeliveries: 2 }, "answered", "CANCELLED");
      await victim.prepare(callCommand(0, id));
      await scene.until({ inFlight: 1, queued: 0 });
      await scene.asleep();
      return victim;
    },
    steps: [["cancel 0 0 keep", 1]],
  },
  ...[12, 5000].flatMap((length): Operation[] => [{
    name: `draft of ${length} bytes, sent`,
    prepare: alone,
    steps: [[`allocate 0 0 ${length}`, 1], [`publish 0 0 ${length} 2 -`, ...sent]],
  }, {
    name: `draft of ${length} bytes, posted`,
    prepare: alone,
    steps: [[`allocate 0 0 ${length}`, 1], [`publish 0 0 ${length} 2 - one-way`, ...sent]],
    posted: "from some point",
  }, {
    name: `draft of ${length} bytes, discarded`,
    prepare: alone,
    steps: [[`allocate 0 0 ${length}`, 1], ["cancel 0 0 draft", 1]],
  }]),
  {
    name: "discard drafts for which others wait",
    prepare: async (scene) => {
      const victim = await greedy(scene);
      await crave(scene);
      return victim;
    },
    steps: [["cancel 0 0 draft", 1], ["cancel 0 1 draft", 1]],
  },
  {
    name: "get answers whose slots others wait for",
    prepare: async (scene) => {
      const lengths = Array.from({ length: options.slots }, () => 12);
      const victim = await answered(scene, ...lengths);
      await crave(scene);
      return victim;
    },
    steps: [["get 0 0 -", 12], ["get 0 1 -", 12]],
  },
  {
    name: "clear a channel",
    prepare: async (scene) => {
      const victim = await scene.joined("client");
      await scene.start(0, "hold", { maxDeliveries: 2 }, "answered", "CANCELLED");
      await scene.until({ inFlight: 1, queued: 0 });
      await scene.rest();
      await scene.start(1, 5000, { maxDeliveries: 2 }, "answered", "CANCELLED");
      await victim.expect("send 0 0 12 2 -", ...sent);
      await victim.expect("send 0 1 12 2 - one-way", ...sent);
      await victim.expect("allocate 0 2 12", 1);
      return victim;
    },
    steps: [["clear 0", 4]],
    posted: "until some point",
  },
  {
    name: "send into a ring that is full of cancelled calls",
    prepare: async (scene) => {
      const victim = await alone(scene);
      await victim.expect("churn 0 4096", 4096);
      return victim;
    },
    steps: [["send 0 0 12 2 -", ...sent]],
  },
  {
    name: "post into a ring that is full of cancelled calls behind others that wait",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("client");
      for (const index of [0, 1, 2]) await scene.start(index, 12, { maxDeliveries: 2 }, "answered");
      await scene.stopAll();
      await victim.expect("churn 0 4093", 4093);
      return victim;
    },
    steps: [["send 0 0 12 2 - one-way", ...sent]],
    posted: "from some point",
  },
  {
    name: "send into a ring that is full",
    prepare: async (scene) => {
      await scene.rest();
      const victim = await scene.joined("client");
      const { id } = await scene.start(0, 12, { maxDeliveries: 1 }, "answered");
      await scene.stopAll();
      await victim.prepare(callCommand(0, id));
      await victim.expect("repeat 0 0 5000", 0);
      return victim;
    },
    steps: [["send 0 1 12 2 -", 0]],
  },
];
