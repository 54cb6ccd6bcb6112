/**
 * Makes a call at each message of the parent, and reports when and how it ended.
 *
 * @module
 */
import process from "node:process";
import { Client, TandemError } from "../../mod.ts";
import { listen, report } from "../lib/child.ts";
import { machineNow } from "../lib/clock.ts";
import type { Ended, Form, Outcome } from "./messages.ts";

const [target = "", form] = process.argv.slice(2) as [string, Form];
const client = Client.open(target);
const payload = new Uint8Array(12);
const timeout = 5_000;

listen(() => void call());
report("ready");

async function call(): Promise<void> {
  let outcome: Outcome = "redelivery";
  try {
    if (form === "blocking") client.requestSync(payload, { timeout });
    else await client.request(payload, { timeout });
  } catch (error) {
    if (!(error instanceof TandemError && error.code === "SERVER_DIED")) throw error;
    outcome = "error";
  }
  report({ at: machineNow(), outcome } satisfies Ended);
}
