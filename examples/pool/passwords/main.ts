/**
 * Hashes passwords in a pool, so that this process goes on with its own work meanwhile.
 *
 * @module
 */
import process from "node:process";
import { TandemError } from "@tandem/ipc";
import { Pool } from "@tandem/ipc/pool";
import type { Passwords } from "./worker.ts";

await using pool = new Pool<Passwords>(new URL("./worker.ts", import.meta.url), {
  min: 2,
  max: 4,
  maxQueue: 8,
  // If a worker dies, another one gets its call.
  idempotent: true,
  runtimeArgs: { node: process.execArgv },
});
await pool.ready;

// A web server would answer other requests in these turns of the event loop.
let turns = 0;
const timer = setInterval(() => turns += 1, 1);

const users = ["ada", "grace", "edsger", "barbara", "alan", "margaret"];
const hashes = await Promise.all(users.map((user) => pool.call.hash(`${user}'s secret`)));
clearInterval(timer);
console.log(`${hashes.length} passwords hashed`);
console.log("this process was free meanwhile:", turns > 10);

console.log("the right password:", await pool.call.verify("ada's secret", hashes[0]!));
console.log("a wrong password:", await pool.call.verify("grace's secret", hashes[0]!));

// An attack, or a busy morning: the queue is short, and what does not fit fails at once.
const logins = await Promise.allSettled(
  Array.from({ length: 40 }, () => pool.call.verify("ada's secret", hashes[0]!)),
);
const refused = logins.filter(({ status }) => status === "rejected");
const isBusy = (login: PromiseSettledResult<boolean>): boolean =>
  login.status === "rejected" && login.reason instanceof TandemError &&
  login.reason.code === "BUSY";
console.log("some of 40 logins at once were refused:", refused.length > 0 && refused.every(isBusy));
