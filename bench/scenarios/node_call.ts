/**
 * Compares calls of ports of other nodes with typed calls.
 *
 * @module
 */
import {
  type Bar,
  type Context,
  micros,
  type Outcome,
  ratioText,
  type Scenario,
  times,
} from "../lib/outcome.ts";
import { samePairs } from "../lib/pairs.ts";
import { Child } from "../lib/parent.ts";
import { Stage } from "../lib/stage.ts";
import { summarize } from "../lib/stats.ts";
import type { CallsAsked } from "../node/at_end.ts";

/** The p50 of a call of a port, of that of the typed call. */
const ratioMust = 1.5;
/** So many calls of one way, then as many of the other. */
const callsInTurn = 1_000;
/** The first turns let the runtimes compile the code. */
const warmUpTurns = 3;

export const scenario: Scenario = {
  name: "node-call",
  title: "Calls of ports of other nodes",
  about:
    `\`node.at(id)\` and a typed call of the same method, one outstanding, in the same two processes. They take turns of ` +
    `${callsInTurn} calls each. Ratios are those of the medians of neighbouring turns.`,
  run,
};

async function run({ isShort, rounds }: Context): Promise<Outcome> {
  const rows: Record<string, string>[] = [];
  const bars: Bar[] = [];
  for (const { client, server, name } of samePairs) {
    await using stage = new Stage();
    const group = "bench-node-call";
    const module = new URL("../node/at_end.ts", import.meta.url);
    const serving = Child.of(server, module, ["serve", group]);
    stage.defer(() => serving[Symbol.asyncDispose]());
    await serving.receive();
    const calling = Child.of(client, module, ["call", group]);
    stage.defer(() => calling[Symbol.asyncDispose]());
    await calling.receive();

    const p50 = async (way: CallsAsked["way"]): Promise<number> => {
      calling.send({ way, calls: callsInTurn } satisfies CallsAsked);
      return await calling.receive<number>();
    };
    const [at, typed]: [number[], number[]] = [[], []];
    for (let turn = 0; turn < warmUpTurns; turn++) for (const way of ways) await p50(way);
    for (let round = 0; round < (isShort ? Math.min(rounds, 10) : rounds); round++) {
      at.push(await p50("at"));
      typed.push(await p50("typed"));
    }
    const ratios = summarize(at.map((ns, turn) => ns / typed[turn]!));
    rows.push({
      "": name,
      "at, p50, µs": micros(summarize(at).median),
      "typed, p50, µs": micros(summarize(typed).median),
      ratio: ratioText(ratios),
    });
    bars.push({
      what: `node-call: p50 of at() relative to the typed call, ${client}`,
      measured: ratios.median,
      isLimit: true,
      must: ratioMust,
      write: times,
    });
  }
  return { tables: [{ title: "One call at a time", rows }], bars };
}

const ways: readonly CallsAsked["way"][] = ["at", "typed"];
