/** Who gets a message finds in the registry what its sender has changed before it. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { Server } from "../../../mod.ts";
import { Node, type PortId } from "../../../src/node/main.ts";
import { afterEnd, atEnd, present, runtimes, spawn, test } from "../../support/harness.ts";
import { startNodes } from "../../support/registries.ts";

/** The port that is there, when there is one. */
async function failingPort(node: Node): Promise<PortId> {
  for await (const { entries } of node.registry.watch("failing")) {
    for (const { port } of entries.values()) return present(port);
  }
  throw new Error("the node was closed");
}

for (const runtime of runtimes) {
  test(`a port that has ended is not in the registry: its node runs in ${runtime}`, async () => {
    const group = `order-${process.pid}-${runtime}`;
    await spawn(runtime, "node/failing.ts", [group], {
      denoPermissions: ["--allow-ffi"],
      env: { TANDEM_DIR: process.env.TANDEM_DIR },
    });
    const node = await Node.start({ name: "own", group });
    atEnd(() => node.close());
    // A node whose files are gone makes new ones.
    afterEnd(() => {
      Server.unlink(`${group}.nodes`);
      return Promise.resolve();
    });
    for (let round = 0; round < 10; round++) {
      const port = await failingPort(node);
      const left = await new Promise((resolve) => {
        // Read in the turn in which the end is told.
        node.monitor(port, () => resolve(node.registry.keys("failing")));
        node.send(port, "fail");
      }) as string[];
      assertEquals(left.includes(port), false, `round ${round}`);
    }
    const port = await failingPort(node);
    const ends = node.port();
    node.send(port, "end", ends.id);
    await ends.receive();
    assertEquals((await node.registry.keys("failing")).includes(port), false, "told by a message");
  });
}

test("a node publishes its changes before it sends messages, and only once", async () => {
  const { network, nodes: [a, b] } = await startNodes(2);
  const boards = network.boards(a);
  const { published } = boards;
  a.registry.set("f", "one", 1);
  a.registry.set("f", "two", 2);
  assertEquals(boards.published, published);
  boards.publishRest();
  assertEquals(boards.published, published + 1);
  assertEquals((await b.registry.keys("f")).toSorted(), ["one", "two"]);
  boards.publishRest();
  assertEquals(boards.published, published + 1, "there was nothing to publish");
});

test("messages do not wait for a board for which there is no memory", async () => {
  const { network, nodes: [a] } = await startNodes(1);
  const boards = network.boards(a);
  const { error } = console;
  const told: unknown[] = [];
  console.error = (...what: unknown[]) => void told.push(what);
  try {
    a.registry.set("f", "key", 1);
    boards.refusals = 3;
    for (let messages = 0; messages < 100; messages++) boards.publishRest();
  } finally {
    console.error = error;
  }
  assertEquals([boards.refusals, told.length], [2, 1]);
  boards.refusals = 0;
});
