/** What the import of the package costs. */
import { assertEquals } from "@std/assert";
import { ownRuntime, spawn, test } from "../support/harness.ts";

// Deno loads its modules for Node then, which takes 10 ms, also in programs that call nothing.
test("importing the package does not read the global process", async () => {
  for (const runtime of ownRuntime) {
    const child = await spawn(runtime, "imports.ts");
    assertEquals(await child.message(), { isWatched: true, reads: 0 });
    await child.ended();
  }
});
