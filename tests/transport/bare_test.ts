/**
 * The conformance suite over the memory transport in a process that has no native library, and in Deno
 * no permission: unit tests of users may run so.
 */
import { assert, assertEquals } from "@std/assert";
import { globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { checkout, nodeArgs, runtimePath } from "../../scripts/tools.ts";
import { folder, runtime, startProgram, test } from "../support/harness.ts";

/** The tests of the suite that run over this transport. */
const filter = "process memory";

/** A file that loads the suite, because a runner needs as long for a file as for its tests. */
function wholeSuite(): string {
  const files = globSync(join(checkout, "tests/rpc/**/*_test.ts"));
  const imports = files.map((file) => `import ${JSON.stringify(pathToFileURL(file).href)};\n`);
  const path = join(folder(), "suite_test.ts");
  writeFileSync(path, imports.join(""));
  return path;
}

const commands: Readonly<Record<typeof runtime, readonly string[]>> = {
  deno: ["test", "--no-prompt", "--no-check", "--config", "deno.json", "--filter", filter],
  bun: ["test", "--timeout=120000", "-t", filter],
  node: [...nodeArgs, "--test", `--test-name-pattern=${filter}`],
};

test(
  "memory transport: the conformance suite passes without a library and without a permission",
  async () => {
    const command = [runtimePath(runtime), ...commands[runtime], wholeSuite()];
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
