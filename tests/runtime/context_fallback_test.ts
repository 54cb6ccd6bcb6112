/**
 * The tests of contexts in the other way in which they work: without the functions of Deno that the package
 * prefers, since a later version may lack them, and with the kind of contexts that this version of Node does
 * not choose by itself.
 */
import { assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { nodeArgs } from "../../scripts/tools.ts";
import { captureContext } from "../../src/runtime/context.ts";
import { folder, runtime, runtimePath, startProgram, test } from "../support/harness.ts";

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

if (runtime === "node") {
  const isNewer = Number(process.versions.node.split(".")[0]) >= 24;
  const flag = isNewer ? "--no-async-context-frame" : "--experimental-async-context-frame";
  test(`the tests of contexts pass with ${flag}`, async () => {
    const file = fileURLToPath(new URL("context_test.ts", import.meta.url));
    const command = [runtimePath("node"), flag, ...nodeArgs, "--test-reporter=tap", file];
    const child = startProgram(flag, command, {
      TANDEM_DIR: folder(),
      // It would report to this runner, in another form.
      NODE_TEST_CONTEXT: undefined,
    });
    const lines: string[] = [];
    while (!lines.at(-1)?.startsWith("# pass ")) lines.push(await child.line());
    assertEquals(lines.at(-1), "# pass 4", lines.join("\n"));
    await child.ended();
  });
}
