/** Children that Node's own modules start: forks and workers of a cluster. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { Client } from "../../mod.ts";
import {
  assertRejectsCode,
  atEnd,
  doomed,
  eventually,
  newTarget,
  processState,
  runtime,
  spawn,
  test,
  text,
} from "../support/harness.ts";

const skip = runtime === "node" ? null : "these are modules of Node";

test("a fork inherits no descriptor of a channel, and its parent's death is noticed", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: {} });
  const parent = await spawn("node", "forking.ts", [target, "fork"]);
  await parent.expect("ready");
  const answer = doomed(client.request("x"));
  const { child, files, held } = await parent.message<{
    readonly child: number;
    readonly files: readonly string[];
    readonly held: string;
  }>();
  atEnd(() => Promise.resolve(void process.kill(child, "SIGKILL")));
  assertEquals(held, "x");
  assertEquals(files.filter((path) => path.includes("tandem")), []);
  await parent.killed();
  await assertRejectsCode(answer, "SERVER_DIED");
  assertEquals(["Z", "X"].includes(processState(child).state), false, "the fork lives on");
}, { skip });

test("workers of a cluster serve one channel, and one dies", async () => {
  const target = newTarget();
  using client = Client.open(target, { create: {} });
  const primary = await spawn("node", "forking.ts", [target, "cluster"]);
  const pids = (await primary.message<readonly number[]>()).toSorted();
  for (const pid of pids) atEnd(() => Promise.resolve(end(pid)));
  const seen = new Set<number>();
  await eventually(async () => {
    const calls = Array.from({ length: 20 }, () => client.request("x"));
    for (const answer of await Promise.all(calls)) seen.add(Number(text(answer)));
    return seen.size === 2;
  }, "both answer");
  assertEquals([...seen].toSorted(), pids);
  primary.send(`kill ${pids[0]}`);
  assertEquals(await primary.message(), { code: null, signal: "SIGKILL" });
  await eventually(() => client.servers === 1);
  for (let round = 0; round < 20; round++) {
    assertEquals(text(await client.request("x")), `${pids[1]}`);
  }
}, { skip });

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}
