/**
 * A cluster of three NATS servers under load, of which each is killed, stopped and started again.
 *
 *     bun tests/faults/nats.ts [--full] [SCENE...]
 *
 * The scenes: `calls` (64 are outstanding all the time: each ends once, none is done twice, and they flow again),
 * `limit` (tokens grow, one holds at a time, all get the place again) and `claims` (the same of a key). They print how soon that is; only --full judges
 * it, and wants the machine for itself.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { hasNatsServer } from "../support/nats_server.ts";
import { playClaims } from "./nats/claims.ts";
import { playCalls } from "./nats/calls.ts";
import { playLimit } from "./nats/limit.ts";
import { Times } from "./nats/times.ts";

const scenes: Readonly<Record<string, (times: Times, isFull: boolean) => Promise<string>>> = {
  calls: playCalls,
  limit: playLimit,
  claims: playClaims,
};

const { isFull, names } = readOptions();
if (!hasNatsServer()) {
  console.log("nats: left out, because no NATS server is installed");
  process.exit(0);
}
let failures = 0;
for (const name of names) {
  const times = new Times();
  try {
    console.log(`  ${name}: ${await scenes[name]!(times, isFull)}`);
    times.print();
    if (isFull) times.judge();
  } catch (error) {
    failures += 1;
    times.print();
    console.log(`\nFAILED: ${name}: ${(error as Error).stack}`);
  }
}
console.log(
  failures === 0
    ? "nats: each call ended once, no two held a place or a key"
    : `${failures} scenes failed`,
);
process.exit(failures === 0 ? 0 : 1);

function readOptions(): { isFull: boolean; names: readonly string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: { full: { type: "boolean", default: false } },
      allowPositionals: true,
    });
    for (const name of positionals) {
      if (!scenes[name]) throw new Error(`no scene is called ${name}`);
    }
    const names = positionals.length > 0 ? positionals : Object.keys(scenes);
    return { isFull: values.full, names };
  } catch (error) {
    console.error(`nats: ${(error as Error).message}`);
    console.error("usage: bun tests/faults/nats.ts [--full] [SCENE...]");
    process.exit(2);
  }
}
