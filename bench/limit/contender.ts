/**
 * Acquires a lock, reports when it has it, and keeps it.
 *
 *     contender.ts TARGET FORM
 *
 * @module
 */
import process from "node:process";
import { Limit } from "../../src/limit/main.ts";
import { listen, report } from "../lib/child.ts";
import { machineNow } from "../lib/clock.ts";
import type { Acquired, Form } from "./messages.ts";

const [target = "", form] = process.argv.slice(2) as [string, Form];
const limit = new Limit(target, { max: 1 });
machineNow(); // the first look at the clock loads the C library
report("ready");
const lock = form === "blocking" ? limit.acquireSync() : await limit.acquire();
const at = machineNow();
if (!lock) throw new Error(`no lock: ${limit.refusal}`);
report({ at } satisfies Acquired);
listen(() => {});
// An export is never collected: of a lock that the program forgets, the package would say so.
export const kept: readonly unknown[] = [limit, lock];
