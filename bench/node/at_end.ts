/**
 * One end of the calls that the scenario `nodes` measures: a port of a node, and a typed service beside it.
 *
 *     at_end.ts serve GROUP | call GROUP
 *
 * @module
 */
import process from "node:process";
import { connect, serve } from "../../mod.ts";
import type { PortId } from "../../src/node/ids.ts";
import { Node } from "../../src/node/node.ts";
import { listen, report } from "../lib/child.ts";

/** What a caller is told to do. */
export interface CallsAsked {
  readonly way: "at" | "typed";
  readonly calls: number;
}

const api = { get: (n: number) => n };
const [role, group = ""] = process.argv.slice(2);

async function serveBoth(): Promise<void> {
  const node = await Node.start({ group });
  node.registry.register("port", node.port(api));
  const service = serve(`${group}-typed`, api);
  report("ready");
  listen(() => {});
  await service.finished;
}

async function callBoth(): Promise<void> {
  const node = await Node.start({ group });
  let id: PortId<typeof api> | null = null;
  while (id === null) {
    id = await node.registry.pick<typeof api>("port");
    if (id === null) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const ways = { at: node.at(id), typed: connect<typeof api>(`${group}-typed`) };
  report("ready");
  listen<CallsAsked>(({ way, calls }) => void run(way, calls));

  async function run(way: CallsAsked["way"], calls: number): Promise<void> {
    const { get } = ways[way];
    const times = new Float64Array(calls);
    for (let call = 0; call < calls; call++) {
      const began = performance.now();
      await get(call);
      times[call] = performance.now() - began;
    }
    // In nanoseconds.
    report(times.sort()[calls >> 1]! * 1e6);
  }
}

await (role === "serve" ? serveBoth() : callBoth());
