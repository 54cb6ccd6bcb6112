/**
 * Calls through one contender. Each message of the conductor is the load of a slice.
 *
 *     client.ts CONTENDER ADDRESS
 *
 * @module
 */
import process from "node:process";
import { contenderNamed } from "../contenders/contender.ts";
import { type BlockingCall, callBlocking, callConcurrently, callPaced } from "../lib/calling.ts";
import { listen, report } from "../lib/child.ts";
import type { Load, Measured } from "../lib/load.ts";

const [name = "", address = ""] = process.argv.slice(2);
const contender = await contenderNamed(name);
const { blocking, call } = await contender.connect(address);
const blockingCalls = new Map<string, BlockingCall>();

listen<Load>((load) => {
  run(load).then(report, (error) => {
    // The conductor notices the exit and shows the message.
    console.error(`${name}: ${(error as Error).stack ?? error}`);
    process.exit(1);
  });
});
report("ready");

// deno-lint-ignore require-await -- errors become rejections
async function run(load: Load): Promise<Measured> {
  if (load.form !== undefined) return callBlocking(blockingCall(load.form, load.bytes), load);
  if (!call) throw new Error("this contender has no promise form");
  return load.pauseMs === undefined ? callConcurrently(call, load) : callPaced(call, load);
}

function blockingCall(form: string, bytes: number): BlockingCall {
  if (!blocking) throw new Error("this contender has no blocking form");
  const key = `${form} ${bytes}`;
  const known = blockingCalls.get(key);
  if (known) return known;
  const made = blocking(form, bytes);
  blockingCalls.set(key, made);
  return made;
}
