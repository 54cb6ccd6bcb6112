/**
 * Sends bursts of jobs, or keeps trivial calls outstanding, as spread.ts says.
 *
 * @module
 */
import process from "node:process";
import { Client, connect } from "../../mod.ts";
import { listen, report } from "../lib/child.ts";
import type { Api } from "./server.ts";

const [typed = "", raw = ""] = process.argv.slice(2);
const remote = connect<Api>(typed);
const client = Client.open(raw);

export type Method = "block" | "wait" | "echo" | "echoLater";

/** What to do next. */
export type Task =
  | { form: "typed" | "raw"; method: Method; jobs: number; ms: number; bursts: number }
  | { form: "typed" | "raw"; method: Method; outstanding: number; sliceMs: number };

/** The calls that each service got in a burst, and how long the burst took. */
export interface Burst {
  readonly counts: Record<string, number>;
  readonly ms: number;
}

const numbers: readonly Method[] = ["block", "wait", "echo", "echoLater"];

function call(form: "typed" | "raw", method: Method): (argument: number) => Promise<number> {
  if (form === "typed") {
    const bound = remote[method];
    return (argument) => bound(argument);
  }
  const number = numbers.indexOf(method);
  return async (argument) => (await client.request(Uint8Array.of(number, argument)))[0]!;
}

async function run(task: Task): Promise<unknown> {
  const send = call(task.form, task.method);
  if ("sliceMs" in task) return await rate(send, task.outstanding, task.sliceMs);
  const bursts: Burst[] = [];
  for (let burst = 0; burst < task.bursts; burst++) {
    // The services are idle, and asleep.
    await new Promise((resolve) => setTimeout(resolve, 30));
    const begin = performance.now();
    const servers = await Promise.all(Array.from({ length: task.jobs }, () => send(task.ms)));
    const counts: Record<string, number> = {};
    for (const server of servers) counts[server] = (counts[server] ?? 0) + 1;
    bursts.push({ counts, ms: performance.now() - begin });
  }
  return bursts;
}

/** Calls a second. */
async function rate(
  send: (argument: number) => Promise<number>,
  outstanding: number,
  sliceMs: number,
): Promise<number> {
  const begin = performance.now();
  const end = begin + sliceMs;
  let calls = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      for (let index = 0; index < 8; index++) {
        const argument = calls++ & 0xff;
        if (await send(argument) !== argument) throw new Error("a wrong answer");
      }
    }
  };
  await Promise.all(Array.from({ length: outstanding }, lane));
  return calls / (performance.now() - begin) * 1e3;
}

report("ready");
listen<Task>((task) => void run(task).then(report));
