/** Nodes of several processes: what the others get and learn when one is killed, stopped, closed or started anew. */
import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import type { Command } from "../../fixtures/node/hall.ts";
import { ServerCore } from "../../../src/channel/server_core.ts";
import { blockUntilDead } from "../../support/processes.ts";
import type { Told } from "../../fixtures/lib.ts";
import type { Hall } from "../../../src/node/hall/hall.ts";
import { type Chosen, join, type Seen, Witness, worded } from "../../support/node_hall.ts";
import {
  atEnd,
  type Child,
  eventually,
  newTarget,
  ownRuntime,
  type Runtime,
  runtimes,
  spawn,
  test,
} from "../../support/harness.ts";

/** A process that is a node. */
async function start(
  runtime: Runtime,
  group: string,
  name: string,
  terms: Chosen = {},
): Promise<Child> {
  const child = await spawn(runtime, "node/hall.ts", [group, name, JSON.stringify(terms)], {
    denoPermissions: ["--allow-ffi"],
  });
  await child.expect("ready");
  return child;
}

function ask<T>(child: Child, command: Command): Promise<T> {
  return child.ask<T>(command);
}

async function joined(
  group: string,
  name: string = "own",
): Promise<{ hall: Hall; witness: Witness }> {
  const witness = new Witness();
  const hall = await join(group, name, witness);
  atEnd(() => hall.close());
  return { hall, witness };
}

const [own] = ownRuntime;

test("hall: nodes of all runtimes exchange messages", async () => {
  const group = newTarget();
  const children = [];
  for (const each of runtimes) children.push(await start(each, group, each));
  for (const child of children) {
    await eventually(async () => (await ask<string[]>(child, { do: "nodes" })).length === 2);
  }
  for (const [at, child] of children.entries()) {
    for (const to of runtimes) {
      if (to === runtimes[at]) continue;
      assertEquals(await ask(child, { do: "say", to, text: `from ${runtimes[at]}` }), true);
    }
  }
  for (const [at, child] of children.entries()) {
    let texts: Seen[] = [];
    await eventually(async () => {
      const seen = await ask<Seen[]>(child, { do: "seen" });
      texts = seen.filter(({ what }) => what === "text");
      return texts.length === 2;
    });
    const others = runtimes.filter((_, index) => index !== at);
    const got = texts.map((each) => each.what === "text" && each.text);
    assertEquals(got.toSorted(), others.map((other) => `from ${other}`).toSorted());
  }
});

test("hall: all that a killed node has sent comes first, and then that it is down, once", async () => {
  const group = newTarget();
  const sender = await start(own, group, "sender");
  const stopped = await start(own, group, "stopped");
  const { witness } = await joined(group);
  await eventually(() => witness.has("up", "sender") && witness.has("up", "stopped"));
  await stopped.stopped();
  // The messages wait in the mailbox of a node that stands still.
  assertEquals(await ask(sender, { do: "send", to: "stopped", count: 500 }), "sent");
  assertEquals(await ask(sender, { do: "send", to: "own", count: 500 }), "sent");
  await sender.killed();
  await eventually(() => witness.has("down", "sender"));
  assertEquals(witness.of("sender"), [
    { what: "up", node: "sender" },
    { what: "messages", node: "sender", from: 501, to: 1_000 },
    { what: "down", node: "sender", farewell: false },
  ]);
  stopped.kill("SIGCONT");
  let seen: Seen[] = [];
  await eventually(async () => {
    seen = (await ask<Seen[]>(stopped, { do: "seen" })).filter(({ node }) => node === "sender");
    return seen.some(({ what }) => what === "down");
  });
  assertEquals(seen, [
    { what: "up", node: "sender" },
    { what: "messages", node: "sender", from: 1, to: 500 },
    { what: "down", node: "sender", farewell: false },
  ]);
});

test("hall: who hears of a death first still takes what waits in the mailbox before", async () => {
  const group = newTarget();
  const { hall, witness } = await joined(group);
  for (const each of runtimes) {
    const sender = await start(each, group, each);
    await eventually(() => witness.has("up", each));
    assertEquals(await ask(sender, { do: "arm", to: "own", count: 500 }), "armed");
    // From here on this thread takes no turn.
    sender.kill("SIGUSR2");
    blockUntilDead(sender.pid);
    const other = ServerCore.open(`${group}.nodes`);
    other.sweep();
    other.close();
    hall.rung();
    assertEquals(witness.of(each), [
      { what: "up", node: each },
      { what: "messages", node: each, from: 1, to: 500 },
      { what: "down", node: each, farewell: false },
    ]);
    await sender.killed();
  }
});

test("hall: a node that is stopped holds up no newcomer, which knows it at once", async () => {
  const group = newTarget();
  for (const each of runtimes) await (await start(each, group, each)).stopped();
  const { hall } = await joined(group);
  assertEquals(
    hall.nodes().map(({ id, runtime }) => [id, runtime]),
    runtimes.map((each) => [each, each]),
  );
});

test("hall: of a node that is killed in the middle of a flood, all others hold a prefix", async () => {
  for (let round = 0; round < 5; round++) {
    const group = newTarget();
    const { witness } = await joined(group);
    const other = await start(own, group, "other");
    const flooder = await start(runtimes[round % runtimes.length]!, group, "flooder");
    await eventually(() => witness.has("up", "flooder"));
    await ask(flooder, { do: "flood", to: ["own", "other"] });
    await eventually(() => witness.lastOf("flooder") > 10_000 * (round + 1));
    await flooder.killed();
    await eventually(() => witness.has("down", "flooder"));
    let seen: Seen[] = [];
    await eventually(async () => {
      seen = (await ask<Seen[]>(other, { do: "seen" })).filter(({ node }) => node === "flooder");
      return seen.some(({ what }) => what === "down");
    });
    for (const each of [witness.of("flooder"), seen]) {
      assertEquals(each.map(({ what }) => what), ["up", "messages", "down"]);
      const [, messages, down] = each;
      assert(messages?.what === "messages" && messages.from === 1);
      assert(down?.what === "down" && !down.farewell);
    }
  }
});

test("hall: what a process says in the name of another one's node is dropped", async () => {
  const group = newTarget();
  const { hall, witness } = await joined(group);
  const sender = await start(own, group, "sender");
  const forger = await start(own, group, "forger");
  await eventually(() => witness.has("up", "sender") && witness.has("up", "forger"));
  await ask(sender, { do: "send", to: "own", count: 100 });
  const to = process.pid;
  assertEquals(await ask(forger, { do: "forge", as: sender.pid, to }), "forged");
  await eventually(() => hall.refused === 1);
  await ask(sender, { do: "send", to: "own", count: 100 });
  await eventually(() => witness.lastOf("sender") === 200);
  assertEquals(witness.of("sender"), [
    { what: "up", node: "sender" },
    { what: "messages", node: "sender", from: 1, to: 200 },
  ]);
});

test("hall: a node that is stopped is not down, and gets what was sent meanwhile", async () => {
  const group = newTarget();
  const { hall, witness } = await joined(group);
  const stopped = await start(own, group, "stopped");
  const dead = await start(own, group, "dead");
  await eventually(() => hall.nodes().length === 2);
  await stopped.stopped();
  assert(hall.send("stopped", worded("for later")));
  await dead.killed();
  await eventually(() => witness.has("down", "dead"));
  assert(hall.isUp("stopped"));
  stopped.kill("SIGCONT");
  await eventually(async () =>
    (await ask<Seen[]>(stopped, { do: "seen" })).some(({ what }) => what === "text")
  );
  assert(!witness.has("down", "stopped"));
});

test("hall: a node that is stopped loses only what exceeds the bound of its sender", async () => {
  const group = newTarget();
  const receiver = await start(own, group, "receiver");
  const sender = await start(own, group, "sender", { maxQueue: 1_000 });
  await eventually(async () => (await ask<string[]>(sender, { do: "nodes" })).length === 1);
  await receiver.stopped();
  const waiting = await ask<number>(sender, { do: "pour", to: "receiver", count: 20_000 });
  assert(waiting <= 1_000);
  const lost = await ask<Seen[]>(sender, { do: "seen" });
  assert(lost.some((each) => each.what === "lost" && each.kind === "overflow"));
  receiver.kill("SIGCONT");
  let seen: Seen[] = [];
  await eventually(async () => {
    seen = (await ask<Seen[]>(receiver, { do: "seen" })).filter(({ node }) => node === "sender");
    const last = seen.at(-1);
    return last?.what === "messages" && last.to === 20_000;
  });
  assertEquals(seen.map(({ what }) => what), ["up", "messages", "lost", "messages"]);
});

test("hall: a close is a farewell, an exit without one is not", async () => {
  const group = newTarget();
  const { witness } = await joined(group);
  const closing = await start(own, group, "closing");
  const exiting = await start(own, group, "exiting");
  await eventually(() => witness.has("up", "closing") && witness.has("up", "exiting"));
  await ask(closing, { do: "send", to: "own", count: 1_000 });
  await ask(exiting, { do: "send", to: "own", count: 1_000 });
  assertEquals(await ask(closing, { do: "close" }), "closed");
  exiting.send({ do: "exit" } satisfies Command);
  await exiting.ended();
  await eventually(() => witness.has("down", "closing") && witness.has("down", "exiting"));
  for (const [node, farewell] of [["closing", true], ["exiting", false]] as const) {
    assertEquals(witness.of(node), [
      { what: "up", node },
      { what: "messages", node, from: 1, to: 1_000 },
      { what: "down", node, farewell },
    ]);
  }
  closing.end();
  await closing.ended();
});

test("hall: a living node of another process has its chosen id alone, whatever the length of the names", async () => {
  const group = "g".repeat(58);
  const terms = { isChosenId: true, id: "@".repeat(128) };
  await start(own, group, "one", terms);
  const second = await spawn(own, "node/hall.ts", [group, "two", JSON.stringify(terms)]);
  assertEquals((await second.message<Told>()).code, "EXISTS");
  await second.ended();
});

test("hall: a node whose receiver is killed in the middle of a flood hears of it, and goes on", async () => {
  const group = newTarget();
  const receiver = await start(own, group, "receiver");
  const { hall, witness } = await joined(group);
  const sender = await start(own, group, "sender");
  await eventually(() => witness.has("up", "sender") && witness.has("up", "receiver"));
  await eventually(async () => (await ask<string[]>(sender, { do: "nodes" })).length === 2);
  const sent = ask(sender, { do: "send", to: "receiver", count: 1_000_000 });
  await eventually(async () =>
    (await ask<Seen[]>(receiver, { do: "seen" })).some(({ what }) => what === "messages")
  );
  await receiver.killed();
  await eventually(() => witness.has("down", "receiver"));
  // Messages to a node that is gone go nowhere, and nothing waits for it.
  assertEquals(await sent, "sent");
  assertEquals(await ask(sender, { do: "say", to: "receiver", text: "gone" }), false);
  assertEquals(await ask(sender, { do: "say", to: "own", text: "here" }), true);
  await eventually(() => witness.has("text", "sender"));
  assertEquals(hall.queued("receiver"), { messages: 0, bytes: 0 });
});

test("hall: a node that is started anew is another node, also with the same chosen id", async () => {
  const group = newTarget();
  const { hall, witness } = await joined(group);
  const terms = { isChosenId: true };
  for (let round = 1; round <= 5; round++) {
    const child = await start(runtimes[round % runtimes.length]!, group, "again", terms);
    await ask(child, { do: "send", to: "own", count: round });
    await eventually(() => witness.lastOf("again") === round);
    assert(hall.isUp("again"));
    await child.killed();
  }
  await eventually(() => !hall.isUp("again"));
  const what = witness.of("again").map((each) => each.what);
  assertEquals(what, Array.from({ length: 5 }, () => ["up", "messages", "down"]).flat());
});
