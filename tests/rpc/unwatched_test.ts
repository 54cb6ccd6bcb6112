/** A program whose runtime watches no descriptor, so that it has no bell and hears of no hang-up. */
import { assertEquals } from "@std/assert";
import { serve } from "../../mod.ts";
import { newTarget, ownRuntime, sleep, spawn, test } from "../support/harness.ts";

for (const runtime of ownRuntime) {
  test(`${runtime}: without a watch, a pending item of a stream keeps the process alive`, async () => {
    const target = newTarget();
    await using _service = serve(target, {
      async *numbers(): AsyncGenerator<number> {
        for (let number = 1;; number++) {
          // Long enough that the reader sleeps rather than polls.
          await sleep(5);
          yield number;
        }
      },
    });
    const child = await spawn(runtime, "unwatched.ts", [target, "40"]);
    assertEquals(await child.message(), 820);
    await child.ended();
  });
}
