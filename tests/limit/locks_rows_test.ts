/**
 * The behaviours of the Web Locks specification, over `locks` and over the runtime's own lock manager; and the table of
 * them in the guide.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { locks } from "@tandem/ipc/limit";
import type { WebLocks } from "../support/locks.ts";
import { type Runtime, runtime, test } from "../support/harness.ts";
import { rows } from "./locks_rows.ts";

for (const { behavior, run } of rows) {
  test(`locks: ${behavior}`, () => run(locks));
}

const { navigator } = globalThis as unknown as { navigator?: { locks?: WebLocks } };

/** The runtimes whose own manager differs from the specification, by row. */
const deviations: Readonly<Record<string, readonly Runtime[]>> = {
  "The name becomes a string.": ["deno"],
  "The callback never runs within the call of `request`.": ["deno", "node"],
  "The promise rejects with what the callback throws, or its promise rejects with.": ["node"],
  "An abort rejects a request that waits, with the signal's reason, and the queue moves on.": [
    "node",
  ],
  "`ifAvailable` overtakes no request that waits.": ["deno"],
  "`query` gives plain data: name, mode, and a `clientId` that tells who asks.": ["deno"],
};

if (navigator?.locks) {
  const { locks } = navigator;
  for (const { behavior, run } of rows) {
    if (deviations[behavior]?.includes(runtime)) continue;
    test(`navigator.locks: ${behavior}`, () => run(locks));
  }
}

test("the guide has a line for each row, and no other", () => {
  const guide = fileURLToPath(new URL("../../docs/guide/web-locks.md", import.meta.url));
  const [, table = ""] = readFileSync(guide, "utf8").split("| what the specification says |");
  const lines = table.slice(0, table.indexOf("\n\n")).split("\n").slice(2);
  assertEquals(
    lines.map((line) => line.split(" | ")[0]!.slice(2)),
    rows.map(({ behavior }) => behavior),
  );
});
