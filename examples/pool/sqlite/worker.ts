/**
 * The only process that has the database open.
 *
 * @module
 */
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { work } from "@tandem/ipc/pool";

let database: DatabaseSync;
let isInTransaction = false;

const bank = {
  begin(): void {
    database.exec("begin immediate");
    isInTransaction = true;
  },
  /** Adds to an account. Fails if less than nothing would be left. */
  add(name: string, amount: number): void {
    const { changes } = database.prepare("update accounts set balance = balance + ? where name = ?")
      .run(amount, name);
    if (Number(changes) === 0) throw new RangeError(`there is no account ${name}`);
  },
  commit(): void {
    database.exec("commit");
    isInTransaction = false;
  },
  rollback: (): void => rollback(),
  balances(): Map<string, number> {
    const rows = database.prepare("select name, balance from accounts order by name").all();
    return new Map(rows.map(({ name, balance }) => [String(name), Number(balance)]));
  },
};
export type Bank = typeof bank;

work(bank, {
  setup() {
    database = new DatabaseSync(process.env["BANK"]!);
    database.exec(`
      create table if not exists accounts (name text primary key, balance integer check (balance >= 0));
      insert or ignore into accounts values ('ada', 100), ('grace', 100);
    `);
  },
  // Whoever had the worker may have left in the middle of a transaction.
  checkoutDone: rollback,
  exit: () => database.close(),
});

function rollback(): void {
  if (isInTransaction) database.exec("rollback");
  isInTransaction = false;
}
