/**
 * The conformance suite over the memory transport in a process that has no native library, and in Deno
 * no permission: unit tests of users may run so.
 */
import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { runtime, startProgram, test } from "../support/harness.ts";
import { runtimePath } from "../support/processes.ts";
import { nodeArgs } from "../../scripts/tools.ts";

const suite = fileURLToPath(new URL("../rpc", import.meta.url));

/** The tests of the suite that run over this transport. */
const filter = "process memory";

const commands: Readonly<Record<typeof runtime, readonly string[]>> = {
  deno: ["test", "--no-prompt", "--no-check", "--filter", filter, suite],
  bun: ["test", "--timeout=120000", "-t", filter, suite],
  node: [...nodeArgs, "--test", `--test-name-pattern=${filter}`, `${suite}/**/*_test.ts`],
};

test(
  "memory transport: the conformance suite passes without a library and without a permission",
  async () => {
    const command = [runtimePath(runtime), ...commands[runtime]];
    const child = startProgram("the conformance suite", command, {
      TANDEM_LIBRARY: "/no/library",
      // With it, Node takes the suite for a file of this one.
      NODE_TEST_CONTEXT: undefined,
    });
    const lines: string[] = [];
    const read = (async () => {
      for (;;) lines.push(await child.line());
    })().catch(() => {});
    const { code } = await child.exited;
    await child.closed;
    await read;
    const output = [...lines, child.stderr].join("\n");
    assertEquals(code, 0, output);
    const passed = Number(/(?<=\bpass )\d+|\d+(?= pass(?:ed)?\b)/.exec(output)?.[0]);
    assert(passed >= 70, `${passed} tests were run:\n${output}`);
  },
  // A whole suite runs in it.
  { timeout: 900_000 },
);
