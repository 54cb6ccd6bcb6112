/** Odd numbers for native functions. */
import { assert } from "@std/assert";
import { newTarget, ownRuntime, spawn, test } from "../support/harness.ts";

for (const name of ownRuntime) {
  test(`${name}: no number that a native function is given ends the process`, async () => {
    const child = await spawn(name, "numbers.ts", [newTarget()]);
    assert(await child.message<number>() > 400);
    await child.ended();
  });
}
