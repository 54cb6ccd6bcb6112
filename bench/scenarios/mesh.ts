/**
 * Measures nodes of which each monitors all others.
 *
 * @module
 */
import type { Context, Outcome, Scenario, Table } from "../lib/outcome.ts";
import { measureMesh, meshBars, timeRows } from "../node/mesh.ts";

export const scenario: Scenario = {
  name: "mesh",
  title: "A mesh of nodes",
  about:
    "Nodes in processes of their own, half of them in Deno and half in Bun, each with a monitor on a port of every other " +
    "(`bench/node/mesh.ts`): what they use while nothing happens, and how long it takes from the call of `Node.start` or " +
    "`close`, or from a SIGKILL, to the JavaScript of the last of the others. The full form has a hundred nodes.",
  run,
};

async function run({ isShort, rounds }: Context): Promise<Outcome> {
  const figures = await measureMesh(
    isShort
      ? { nodes: 6, rounds: Math.min(rounds, 3), seconds: 2, settleSeconds: 1, churn: 0 }
      : { nodes: 100, rounds: 15, seconds: 10, settleSeconds: 40, churn: 0 },
  );
  const table = (title: string, rows: Record<string, Record<string, string>>): Table => ({
    title,
    rows: Object.entries(rows).map(([name, row]) => ({ "": name, ...row })),
  });
  return {
    tables: [
      table("Nodes that do nothing, beside a process that does nothing", figures.idle.rows),
      table("Until the last of the others knows", timeRows(figures)),
    ],
    // Fewer nodes say nothing about a hundred.
    bars: isShort ? [] : meshBars(figures),
  };
}
