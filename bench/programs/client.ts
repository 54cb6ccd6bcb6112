/**
 * Calls through one contender, slice by slice, as the conductor says. Arguments: the contender's
 * name, the address.
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
    // The conductor sees that this process has ended, and shows what it said.
    console.error(`${name}: ${(error as Error).stack ?? error}`);
    process.exit(1);
  });
});
report("ready");

// deno-lint-ignore require-await -- so that whatever is thrown rejects
async function run(load: Load): Promise<Measured> {
  if (load.form !== undefined) return callBlocking(blockingCall(load.form, load.bytes), load);
  if (!call) throw new Error("This contender only blocks");
  return load.pauseMs === undefined ? callConcurrently(call, load) : callPaced(call, load);
}

function blockingCall(form: string, bytes: number): BlockingCall {
  if (!blocking) throw new Error("This contender does not block");
  const key = `${form} ${bytes}`;
  const known = blockingCalls.get(key);
  if (known) return known;
  const made = blocking(form, bytes);
  blockingCalls.set(key, made);
  return made;
}
