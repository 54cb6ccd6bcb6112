/**
 * A file that is cut short while processes sleep in its channel. Who touches the memory at that very
 * moment is killed by the kernel (SIGBUS), which a library cannot prevent; who sleeps has an error.
 */
import { assertEquals } from "@std/assert";
import { truncateSync } from "node:fs";
import { Server } from "../../mod.ts";
import { newTarget, type Runtime, runtimes, settled, spawn, test } from "../support/harness.ts";

/** Nobody wakes a promise when a file becomes shorter, but its time is over some day. */
const forms = ["receiveSync", "requestSync", "getSync", "sendSync", "request"] as const;

for (const name of runtimes) {
  for (const form of forms) {
    test(`${name}: a file that is cut short while ${form} sleeps: CORRUPT`, async () => {
      // In the moment in which it looks around it would be killed: then once more.
      for (let attempt = 0; attempt < 3; attempt++) {
        const said = await cutShort(name, form);
        if (said === null) continue;
        // The process goes on, and can close the handle.
        assertEquals(said, ["CORRUPT", "closed"]);
        return;
      }
      throw new Error("killed each time");
    });
  }
}

/** What a sleeper says then; null: it was awake just then. */
async function cutShort(name: Runtime, form: string): Promise<string[] | null> {
  const target = newTarget();
  Server.create(target, { slots: 1 }).close();
  const child = await spawn(name, "truncated.ts", [target, form]);
  await child.expect("sleeping");
  await settled(child);
  truncateSync(target, 0);
  const { code, signal } = await child.exited;
  if (signal === "SIGBUS") return null;
  assertEquals({ code, signal }, { code: 0, signal: null }, child.describe());
  return [await child.line(), await child.line()];
}
