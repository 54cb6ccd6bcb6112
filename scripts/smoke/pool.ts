/** A pool whose workers run in all runtimes; prints the numbers of its workers. */
import { Pool } from "@tandem/ipc/pool";
import type { Api } from "./pool_worker.ts";

const file = new URL("./pool_worker.ts", import.meta.url);
const pool = new Pool<Api>(file, { runtime: ["deno", "bun", "node"], min: 3, max: 3 });
await pool.ready;
if (await pool.call.add(1, 2) !== 3) throw new Error("wrong answer");
const results = await pool.everywhere.number();
const numbers = results.map((result) => result.status === "fulfilled" ? result.value : 0);
await pool.close();
console.log(numbers.sort().join(" "));
