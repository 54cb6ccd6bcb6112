/** When a loop in Deno makes the runtime look at its sockets. */
import { assertEquals } from "@std/assert";
import { needsPulse } from "../../src/runtime/deno_pulses.ts";
import { test } from "../support/harness.ts";

test("a loop in Deno rings its own bell after 1 ms of turns, and after 10 ms where it had none before", () => {
  const cases = [
    [0, false, false],
    [0.99, false, false],
    [1, false, true],
    [1, true, false],
    [9.99, true, false],
    [10, true, true],
    [Infinity, true, true],
  ] as const;
  for (const [sinceLook, isFirst, needs] of cases) {
    assertEquals(needsPulse(sinceLook, isFirst), needs, `${sinceLook} ms, ${isFirst}`);
  }
});
