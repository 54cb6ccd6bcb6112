/**
 * Measures how soon the registry of a node on another machine shows a change, against a key-value bucket of NATS that a
 * client of the other machine watches: both over the same server, one change after another, in turns.
 *
 *     bun bench/node/registry.ts [--rounds N] [--entries N]
 *
 * Both ends are in this process, with links and memories of their own, so one clock counts.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Server } from "../../mod.ts";
import { JetStream } from "../../src/nats/jetstream.ts";
import { acquireLink, type Link, LinkSubscription } from "../../src/nats/link.ts";
import { joinBothWays } from "../../src/nats/nodes/parts.ts";
import { parseTarget } from "../../src/nats/target.ts";
import { joinNearNodes } from "../../src/node/hall/near_nodes.ts";
import type { Node } from "../../src/node/main.ts";
import { startNode } from "../../src/node/node.ts";
import type { NodeParts } from "../../src/node/parts.ts";
import { NearClaims } from "../../src/node/registry/claim_lock.ts";
import { hasNats, startNats } from "../lib/nats.ts";
import { fixed, summarize } from "../lib/stats.ts";
import { Stage } from "../lib/stage.ts";

/** Changes of one way, before it is the other's turn. */
const changesPerRound = 50;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    entries: { type: "string", default: "1000" },
  },
});
if (!hasNats) {
  console.error("registry: NATS is not installed; scripts/setup --bench installs it");
  process.exit(2);
}
await using stage = new Stage();
const url = await startNats(stage, "--jetstream");
const group = `bench-${process.pid}`;
const [writer, reader] = [await start("writer"), await start("reader")];
const registry = watchedRegistry(writer, reader, Number(values.entries));
const bucket = await watchedBucket(link("bucket-writer"), link("bucket-reader"));
const ways = { registry, bucket };
const medians: Record<keyof typeof ways, number[]> = { registry: [], bucket: [] };
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const [name, change] of Object.entries(ways)) {
    const times: number[] = [];
    for (let count = 0; count < changesPerRound; count++) {
      const began = performance.now();
      await change(`${round} ${count}`);
      times.push(performance.now() - began);
    }
    // The first round warms up.
    if (round > 0) medians[name as keyof typeof ways].push(summarize(times).median);
  }
}
const ratios = medians.registry.map((time, round) => time / medians.bucket[round]!);
const rows = Object.entries(medians).map(([name, times]) => ({
  way: name,
  "ms until the other has it": fixed(summarize(times).median),
  "of the bucket's": fixed(name === "registry" ? summarize(ratios).median : 1),
}));
console.table(rows);
await writer.close();
await reader.close();
for (const machine of ["writer", "reader"]) Server.unlink(`${group}.${machine}.nodes`);
process.exit(0);

function start(machine: string): Promise<Node> {
  const hall = `${group}.${machine}`;
  const parts: NodeParts = {
    join: (identity, terms) =>
      joinBothWays(identity, terms, {
        join: (listener) =>
          joinNearNodes({
            group: hall,
            mode: terms.mode,
            identity,
            isChosenId: false,
            maxQueue: Infinity,
            maxQueueBytes: terms.maxQueueBytes,
            maxMessageBytes: terms.maxMessageBytes,
          }, listener),
        claims: new NearClaims({ group: hall, mode: terms.mode }),
      }),
  };
  return startNode({ name: machine, group, network: url, nats: { name: machine } }, parts);
}

function link(name: string): Link {
  return acquireLink({ target: parseTarget(`${url}/bench`), options: { name } });
}

/** Resolves when a watch has told of the value. */
class Awaited {
  #value = "";
  #resolve = () => {};

  expect(value: string): Promise<void> {
    this.#value = value;
    return new Promise((resolve) => this.#resolve = resolve);
  }

  saw(value: unknown): void {
    if (value === this.#value) this.#resolve();
  }
}

type Way = (value: string) => Promise<void>;

function watchedRegistry(from: Node, to: Node, entries: number): Way {
  for (let index = 0; index < entries; index++) from.registry.set("others", `key ${index}`, index);
  const awaited = new Awaited();
  to.registry.watch("bench", ({ entries }) => awaited.saw(entries.get("key")?.value));
  return async (value) => {
    const seen = awaited.expect(value);
    from.registry.set("bench", "key", value);
    await seen;
  };
}

async function watchedBucket(from: Link, to: Link): Promise<Way> {
  await Promise.all([from.opened(), to.opened()]);
  const [writing, reading] = [new JetStream(from), new JetStream(to)];
  const stream = "KV_bench";
  await writing.ask(`STREAM.CREATE.${stream}`, {
    name: stream,
    subjects: ["$KV.bench.>"],
    max_msgs_per_subject: 1,
    storage: "file",
    allow_direct: true,
  });
  const awaited = new Awaited();
  const inbox = `${to.inbox}.watch.bench`;
  to.subscribe(
    new LinkSubscription(
      inbox,
      undefined,
      (data) => awaited.saw(new TextDecoder().decode(data)),
      (error) => {
        throw error;
      },
    ),
  );
  await reading.ask(`CONSUMER.CREATE.${stream}`, {
    stream_name: stream,
    config: {
      deliver_subject: inbox,
      deliver_policy: "last_per_subject",
      filter_subject: "$KV.bench.>",
      ack_policy: "none",
    },
  });
  let last = 0;
  return async (value) => {
    const seen = awaited.expect(value);
    const data = new TextEncoder().encode(value);
    last = (await writing.store("$KV.bench.key", data, last))!;
    await seen;
  };
}
