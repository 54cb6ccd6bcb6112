/**
 * A file that is cut short while processes sleep in its channel. The kernel kills a process that touches
 * the memory at that moment (SIGBUS), which a library cannot prevent; a sleeping process gets an error.
 */
import { assertEquals } from "@std/assert";
import { truncateSync } from "node:fs";
import { Server } from "../../mod.ts";
import { newTarget, ownRuntime, type Runtime, settled, spawn, test } from "../support/harness.ts";

/** A shorter file wakes no promise, so the promise form has a time-out. */
const forms = ["receiveSync", "requestSync", "getSync", "sendSync", "request"] as const;

for (const name of ownRuntime) {
  for (const form of forms) {
    test(`${name}: a file that is cut short while ${form} sleeps: CORRUPT`, async () => {
      // The kernel kills it if it looks at that moment, more often on a busy machine: then tries again.
      for (let attempt = 0; attempt < 20; attempt++) {
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

/** A sleeper's output; null: it was awake at that moment. */
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
