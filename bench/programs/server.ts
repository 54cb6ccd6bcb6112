/**
 * Echoes through one contender.
 *
 *     server.ts CONTENDER ADDRESS
 *
 * @module
 */
import process from "node:process";
import { contenderNamed } from "../contenders/contender.ts";
import { listen, report } from "../lib/child.ts";
import { LateTimer } from "../lib/late_timer.ts";
import type { TimerMessage } from "../lib/load.ts";

const [name = "", address = ""] = process.argv.slice(2);
const contender = await contenderNamed(name);
if (!contender.serve) throw new Error(`the client of ${name} starts its server itself`);
let timer: LateTimer | undefined;
listen<TimerMessage>((message) => {
  if (message === "start timer") {
    timer = new LateTimer();
  } else {
    timer?.stop();
    report(timer?.buckets() ?? []);
  }
});
await contender.serve(address, (reached) => report({ address: reached }));
