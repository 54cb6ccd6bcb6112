/** Users' own tests, under the leak checks and the isolation of all test runners. */
import { assertEquals, assertMatch } from "@std/assert";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { nodeArgs } from "../../scripts/tools.ts";
import {
  type Child,
  folder,
  runtime,
  runtimePath,
  startProgram,
  test,
} from "../support/harness.ts";

const ownTests = fileURLToPath(new URL("../fixtures/own_tests.ts", import.meta.url));
const library = new URL("../../mod.ts", import.meta.url).href;

/** Runs a test runner, and says what it printed. */
async function runTests(args: readonly string[]): Promise<string> {
  const runner = runtime === "node" ? [...nodeArgs, "--test", "--test-reporter=spec"] : ["test"];
  const child: Child = startProgram(args.join(" "), [runtimePath(runtime), ...runner, ...args], {
    TANDEM_DIR: folder(),
    NO_COLOR: "1",
    // With it, Node's runner would report to the runner of this test.
    NODE_TEST_CONTEXT: undefined,
  });
  const lines: string[] = [];
  // Deno and Node report on stdout, Bun on stderr.
  try {
    while (true) lines.push(await child.line());
  } catch {
    lines.push(child.stderr);
  }
  assertEquals(await child.exited, { code: 0, signal: null }, lines.join("\n"));
  return lines.join("\n");
}

if (runtime === "deno") {
  const flags = ["--allow-ffi", "--no-check", "--sanitize-ops", "--sanitize-resources"];

  test("deno test: users' tests pass with the leak sanitizers", async () => {
    const output = await runTests([...flags, ownTests]);
    assertMatch(output, /ok \| 23 passed \| 0 failed/);
  });

  // The first test of a process loads the library.
  for (const name of ["a call", "a stream, one", "time-outs", "a callback", "a topic"]) {
    test(`deno test: the first test of a process passes with the leak sanitizers: ${name}`, async () => {
      const output = await runTests([...flags, `--filter=${name}`, ownTests]);
      assertMatch(output, /ok \| [1-9]\d* passed \| 0 failed/);
    });
  }

  test("deno: the library works, too, where closing it takes its functions away", async () => {
    const path = join(folder(), "strict.ts");
    const code = `const { dlopen } = Deno;
let closed = 0;
Deno.dlopen = (path, table) => {
  const library = dlopen(path, table);
  const close = () => {
    closed += 1;
    for (const [name, symbol] of Object.entries(library.symbols)) {
      if (typeof symbol === "function") functions[name] = () => { throw new TypeError("closed"); };
    }
  };
  const functions = { ...library.symbols };
  const symbols = {};
  for (const name in functions) {
    const isFunction = typeof functions[name] === "function";
    symbols[name] = isFunction ? (...values) => functions[name](...values) : functions[name];
  }
  return { symbols, close };
};
const { connect, serve } = await import(${JSON.stringify(library)});
await using service = serve("strict", { add: (a, b) => a + b });
using remote = connect("strict");
console.log(await remote.add(1, 2), closed > 0);
`;
    writeFileSync(path, code);
    const command = [runtimePath("deno"), "run", "--allow-ffi", "--no-check", "--quiet", path];
    const child = startProgram("deno strict.ts", command, { TANDEM_DIR: folder(), NO_COLOR: "1" });
    await child.expect("3 true");
    await child.ended();
  });
}

if (runtime === "bun") {
  for (const flags of [[], ["--isolate"], ["--concurrent"]]) {
    test(`bun test ${flags.join(" ")}: users' tests pass`, async () => {
      assertMatch(await runTests([...flags, ownTests]), /23 pass\n *0 fail/);
    });
  }

  test("bun test --isolate: a service that a test file leaves behind answers no test of the next file", async () => {
    const files = [1, 2, 3].map((number) => {
      const path = join(folder(), `file-${number}.test.ts`);
      const code = `import { connect, serve } from ${JSON.stringify(library)};
import { expect, test } from "bun:test";
test("file ${number}", async () => {
  serve("left", { number: () => ${number} });
  const remote = connect("left", { timeout: 30_000 });
  for (let call = 0; call < 10; call++) expect(await remote.number()).toBe(${number});
});
`;
      writeFileSync(path, code);
      return path;
    });
    assertMatch(await runTests(["--isolate", ...files]), /3 pass\n *0 fail/);
  });
}

if (runtime === "node") {
  const isNewer = Number(process.versions.node.split(".")[0]) >= 24;
  const isolation = isNewer ? "--test-isolation=none" : "--experimental-test-isolation=none";
  for (const flags of [[], [isolation], ["--test-force-exit"]]) {
    test(`node --test ${flags.join(" ")}: users' tests pass`, async () => {
      assertMatch(await runTests([...flags, ownTests]), /pass 23\n.*fail 0/);
    });
  }

  /** Test files in which that code runs. */
  const files = (count: number, code: string): string[] =>
    Array.from({ length: count }, (_, index) => {
      const path = join(folder(), `file-${index}.test.ts`);
      const source = `import { Client, connect, serve, topic } from ${JSON.stringify(library)};
import assert from "node:assert/strict";
import { test } from "node:test";
test("file ${index}", async (t) => {
  const own = ${index};
  const serveNumber = () => serve("left", { number: () => own });
  const remote = connect("left", { timeout: 30_000 });
  ${code}
});
`;
      writeFileSync(path, source);
      return path;
    });

  test("node --test: a file ends whatever it leaves open, but for services and pending promises", async () => {
    const code = `const service = serveNumber();
  t.after(() => service.close());
  assert.equal(await remote.number(), own);
  const subscription = topic("news").subscribe();
  topic("news").publish(1);
  assert.equal((await subscription.next()).value, 1);
  Client.open("raw", { create: {} }).trySend("nobody answers");`;
    assertMatch(await runTests(files(1, code)), /pass 1\n.*fail 0/);
  });

  test("node --test --test-force-exit: a service that a test file leaves behind answers no test of the next file", async () => {
    const code = `serveNumber();
  for (let call = 0; call < 10; call++) assert.equal(await remote.number(), own);`;
    // One after the other: the files share the channel.
    const flags = ["--test-force-exit", "--test-concurrency=1"];
    assertMatch(await runTests([...flags, ...files(3, code)]), /pass 3\n.*fail 0/);
  });
}
