/**
 * Every example of the reference documentation and of the README, copied into its own file and
 * run in both runtimes, in Deno with only `--allow-ffi`. `deno test --doc` checks their
 * types.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Child, folder, type Runtime, runtimePath, runtimes, test } from "../support/harness.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

const sources: readonly string[] = [
  "mod.ts",
  ...readdirSync(join(repository, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts")).sort()
    .map((name) => `src/${name}`),
];

/** The modules that the examples import, by name. */
const imports: Readonly<Record<string, string>> = {
  "@tandem/ipc": "mod.ts",
  "@std/assert": "tests/support/std_assert.js",
  "zod": "node_modules/zod/index.js",
};

interface Example {
  /** Where it begins. */
  readonly line: number;
  readonly code: string;
}

/** The examples in the doc comments of a source file. */
function examplesOf(source: string): Example[] {
  const text = readFileSync(join(repository, source), "utf8");
  return [...text.matchAll(/^ *\* ```ts *\n((?: *\*.*\n)*?) *\* ```$/gm)].map((match) => ({
    line: text.slice(0, match.index).split("\n").length,
    code: match[1]!.replaceAll(/^ *\* ?/gm, ""),
  }));
}

/** Starts a program from its text, outside of this repository. */
function start(runtime: Runtime, name: string, code: string): Child {
  const path = join(folder(), name);
  const here = Object.entries(imports).reduce(
    (code, [from, to]) => code.replaceAll(`from "${from}"`, `from "${join(repository, to)}"`),
    code,
  );
  writeFileSync(path, here);
  const flags = runtime === "deno" ? ["run", "--quiet", "--no-prompt", "--allow-ffi"] : ["run"];
  const env = { ...process.env, TANDEM_DIR: folder(), NO_COLOR: "1" };
  return new Child(`${runtime} ${name}`, runtimePath(runtime), [...flags, path], env);
}

for (const source of sources) {
  const examples = examplesOf(source);
  if (examples.length === 0) continue;
  for (const runtime of runtimes) {
    test(`${runtime}: the examples of ${source} run`, async () => {
      const children: Child[] = [];
      try {
        for (const { line, code } of examples) {
          const child = start(runtime, `example-${line}.ts`, code);
          children.push(child);
          await child.ended();
          assertEquals(child.stderr, "", child.describe());
        }
        const left = readdirSync(folder()).filter((name) => !name.startsWith("example-"));
        assertEquals(left, [], "an example leaves its channel behind");
      } finally {
        for (const child of children) child.kill("SIGKILL");
        await Promise.all(children.map((child) => child.closed));
      }
    });
  }
}

test("every class that is exported has an example", () => {
  const exported = readFileSync(join(repository, "mod.ts"), "utf8");
  let count = 0;
  for (const source of sources) {
    const text = readFileSync(join(repository, source), "utf8");
    const classes = text.matchAll(
      /\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport (?:abstract )?class (\w+)/g,
    );
    for (const [, comment, name] of classes) {
      if (!new RegExp(`export .*\\b${name}\\b`).test(exported)) continue;
      assertStringIncludes(comment!, "* ```ts\n", `${name} in ${source}`);
      count += 1;
    }
  }
  assert(count >= 11, `${count} classes were found`);
});

for (const runtime of runtimes) {
  test(`${runtime}: the typed service and its client in the README run`, async () => {
    const readme = readFileSync(join(repository, "README.md"), "utf8");
    const children = ["service.ts", "user.ts"].map((name) => {
      const [, code] = new RegExp(`\`\`\`ts\n(// ${name}.*?)\`\`\``, "s").exec(readme)!;
      return start(runtime, name, code!);
    });
    try {
      const user = children[1]!;
      for (let line = 1; line <= 10; line++) assertEquals(await user.line(), `line ${line}`);
      await user.ended();
    } finally {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.closed));
    }
  });

  test(`${runtime}: the server and the client of the README run`, async () => {
    const readme = readFileSync(join(repository, "README.md"), "utf8");
    const code = (name: string) => {
      const [, block] = new RegExp(`\`\`\`ts\\n(// ${name}.*?)\`\`\``, "s").exec(readme)!;
      return block!;
    };
    const children = ["server.ts", "client.ts"].map((name) => start(runtime, name, code(name)));
    try {
      const client = children[1]!;
      assertEquals(await client.line(), "HELLO");
      await client.ended();
    } finally {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.closed));
    }
  });
}
