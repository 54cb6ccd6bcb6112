/** What keeps the process of a node alive. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { Server } from "../../mod.ts";
import { Node } from "../../src/node/main.ts";
import { eventually, ownRuntime, spawn, test } from "../support/harness.ts";

test("a port with handlers keeps its process alive, a node alone does not", async () => {
  const group = `alive-${process.pid}`;
  await using node = await Node.start({ group });
  const idle = await spawn(ownRuntime[0], "node/idle.ts", [group], {
    env: { TANDEM_DIR: process.env.TANDEM_DIR },
  });
  await idle.expect("ready");
  let port: string | null = null;
  await eventually(async () => (port = await node.registry.pick("ports")) !== null, "its port");
  // By its answer it still lives, though its program has ended.
  await node.at(port!).absent().catch(() => {});
  node.send(port!, "end");
  assertEquals(await idle.exited, { code: 0, signal: null });
  await node.close();
  Server.unlink(`${group}.nodes`);
});

test("finished: resolves when the node has closed", async () => {
  const node = await Node.start({ group: "finished" });
  let isOver = false;
  const finished = node.finished.then(() => isOver = true);
  assertEquals(isOver, false);
  await node.close();
  await finished;
  await node.finished;
  Server.unlink("finished.nodes");
});

test("a node whose group's file was removed closes without a word", async () => {
  const group = `removed-${process.pid}`;
  const node = await Node.start({ group });
  node.registry.set("things", "own", 1);
  const said: unknown[][] = [];
  const { error } = console;
  console.error = (...values) => void said.push(values);
  try {
    Server.unlink(`${group}.nodes`);
    await node.close();
  } finally {
    console.error = error;
  }
  assertEquals(said, []);
});
