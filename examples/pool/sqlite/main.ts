/**
 * Transactions of several calls, one after another, on a database that one worker has open.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { RemoteError } from "@tandem/ipc";
import { Pool } from "@tandem/ipc/pool";
import type { Bank } from "./worker.ts";

const folder = mkdtempSync(join(tmpdir(), "bank-"));
{
  // One worker, which is the only writer. If it dies, the next one opens the database again.
  await using pool = new Pool<Bank>(new URL("./worker.ts", import.meta.url), {
    min: 1,
    max: 1,
    env: { BANK: join(folder, "bank.db") },
    runtimeArgs: { node: process.execArgv },
  });

  // Twenty transactions at once: each has the worker for itself until it is done.
  await Promise.all(Array.from({ length: 20 }, () => transfer(pool, "ada", "grace", 2)));
  console.log(await balances(pool));

  try {
    await transfer(pool, "ada", "grace", 1_000);
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    console.log("rolled back:", error.remoteMessage);
  }
  console.log(await balances(pool));

  // Leaves in the middle. checkoutDone of the worker rolls back.
  {
    await using session = await pool.checkout();
    await session.call.begin();
    await session.call.add("ada", 1_000_000);
  }
  console.log(await balances(pool));
}
rmSync(folder, { recursive: true });

async function transfer(
  pool: Pool<Bank>,
  from: string,
  to: string,
  amount: number,
): Promise<void> {
  // By default a worker is replaced after a session with an error. Here it rolls back, which is enough.
  await using session = await pool.checkout({ name: "transfer", afterError: "keep" });
  const { call } = session;
  try {
    // The calls run in this order. If one fails, those behind it are not made.
    await Promise.all([call.begin(), call.add(to, amount), call.add(from, -amount), call.commit()]);
  } catch (error) {
    await call.rollback();
    throw error;
  }
}

async function balances(pool: Pool<Bank>): Promise<string> {
  const all = await pool.call.balances();
  return Array.from(all, ([name, balance]) => `${name} has ${balance}`).join(", ");
}
