/**
 * A worker whose function writes down when it begins and when it has ended. `TANDEM_POOL_LEDGER` names the file. A
 * request is a {@linkcode Task} as text; its answer begins with the task's id.
 *
 * @module
 */
import { appendFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { work } from "../../../src/pool/main.ts";

/** Id, milliseconds of work, and, if it matters, the length of the answer. */
const task = /^(\d{1,9}) (\d{1,4})(?: (\d{1,7}))?(?: |$)/;

const ledger = process.env.TANDEM_POOL_LEDGER!;

work(async (request: Uint8Array): Promise<string> => {
  const found = task.exec(new TextDecoder().decode(request.subarray(0, 64)));
  if (!found) return "no task";
  const [, id, milliseconds, length] = found as unknown as [string, string, string, string?];
  // A line that was written is there, even if the process is killed in the next instruction.
  appendFileSync(ledger, `b ${id} ${process.pid}\n`);
  if (milliseconds !== "0") await sleep(Number(milliseconds));
  appendFileSync(ledger, `e ${id} ${process.pid}\n`);
  return length === undefined ? id : `${id} `.padEnd(Number(length), ".");
});
