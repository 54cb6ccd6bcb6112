/**
 * Adds a note for each line of its input, as long as the database lets it. main.ts starts it.
 *
 * @module
 */
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { Limit } from "@tandem/ipc/limit";
import { Store } from "./store.ts";

const [name = "", folder = "", how] = process.argv.slice(2);

using limit = new Limit(join(folder, "writer.limit"), { max: 1 });
using lock = await limit.acquire({ steal: how === "steal" });
if (!lock) throw new Error(`no lock: ${limit.refusal}`);
console.log(`${name} has the lock`);

using store = new Store(join(folder, "notes.db"));
for await (const text of createInterface({ input: process.stdin })) {
  // A look at the lock before the write is not enough: the process may be stopped right after it.
  const isAdded = store.add(lock.token, text);
  console.log(
    isAdded
      ? `${name} has added "${text}"`
      : `${name} was refused "${text}": a greater token has written; holds the lock: ${lock.isHeld}`,
  );
}
