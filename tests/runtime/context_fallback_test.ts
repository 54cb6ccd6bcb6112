/**
 * The tests of contexts without the functions of Deno that the package prefers: a later version
 * may lack them. Then the package uses `AsyncLocalStorage`, as in Bun.
 */
import { assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { captureContext } from "../../src/runtime/context.ts";
import { runtime, test } from "../support/harness.ts";

if (runtime === "deno") {
  const { Deno } = globalThis as unknown as { Deno: { internal?: symbol } };
  const { snapshot } = AsyncLocalStorage;
  let snapshots = 0;
  // The package looks for them once, and Deno's test runner needs them afterwards.
  const { internal } = Deno;
  Object.defineProperty(Deno, "internal", { value: undefined });
  captureContext();
  Object.defineProperty(Deno, "internal", { value: internal });
  AsyncLocalStorage.snapshot = () => {
    snapshots += 1;
    return snapshot.call(AsyncLocalStorage) as ReturnType<typeof snapshot>;
  };
  // The import registers them.
  await import("./context_test.ts");
  test("the tests above have used the fallback", () => {
    assertEquals(snapshots > 100, true, `${snapshots} contexts were captured by it`);
  });
}
