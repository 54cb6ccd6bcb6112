/**
 * Every example of the reference documentation and of the README, copied into a file of its own and
 * run in both runtimes, in Deno with `--allow-ffi` alone; and the links between the documents.
 * `deno test --doc` type-checks the examples of the reference documentation.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
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

/** Writes a program that imports this repository's sources. */
function writeProgram(name: string, code: string): string {
  const path = join(folder(), name);
  const here = Object.entries(imports).reduce(
    (code, [from, to]) => code.replaceAll(`from "${from}"`, `from "${join(repository, to)}"`),
    code,
  );
  writeFileSync(path, here);
  return path;
}

/** Starts a program whose text is given, and nothing else of this repository in reach. */
function start(runtime: Runtime, name: string, code: string): Child {
  const path = writeProgram(name, code);
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

/** The examples of the README: `name` is what the first line says, as in `// service.ts`. */
function readmeExamples(): readonly { readonly name: string; readonly code: string }[] {
  const readme = readFileSync(join(repository, "README.md"), "utf8");
  return [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code], index) => {
    const [, name = `readme-${index}.ts`] = /^\/\/ (\w+\.ts)\b/.exec(code!) ?? [];
    return { name, code: code! };
  });
}

/** What an example says that it prints: the comments behind its `console.log`, as far as it gets there. */
function printedBy(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)]
    .map(([, line]) => line!)
    .filter((line) => !line.endsWith("…"));
}

for (const runtime of runtimes) {
  test(`${runtime}: the examples of the README print what they say`, async () => {
    const examples = readmeExamples();
    assert(examples.length >= 6, `${examples.length} examples were found`);
    const children: Child[] = [];
    try {
      for (const { name, code } of examples) {
        const child = start(runtime, name, code);
        children.push(child);
        for (const line of printedBy(code)) assertEquals(await child.line(), line, name);
        // The service waits for calls; the other programs end by themselves.
        if (name !== "service.ts") await child.ended();
        assertEquals(child.stderr, "", child.describe());
      }
    } finally {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map((child) => child.closed));
    }
  });
}

test("the examples of the README type-check", async () => {
  if (!runtimes.includes("deno")) return;
  const paths = readmeExamples().map(({ name, code }) => writeProgram(name, code));
  const config = join(repository, "doc_test.json");
  const child = new Child("deno check", runtimePath("deno"), [
    "check",
    "--quiet",
    "--config",
    config,
    ...paths,
  ], { ...process.env, NO_COLOR: "1" });
  await child.ended();
});

/** Folders with documents, and whether those below them have some, too. */
const documentFolders = { ".": false, bench: false, docs: true, examples: true, tests: true };

test("links between documents lead somewhere", () => {
  const documents = Object.entries(documentFolders).flatMap(([folder, recursive]) =>
    readdirSync(join(repository, folder), { recursive, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(repository, folder, name))
  );
  let count = 0;
  for (const document of documents) {
    const text = readFileSync(document, "utf8").replaceAll(/^```.*?^```$/gms, "");
    const links = [
      ...text.matchAll(/\]\(([^)\s]+)\)/g),
      ...text.matchAll(/\bsrc="([^"]+)"/g),
    ];
    for (const [, link] of links) {
      if (/^[a-z]+:/.test(link!)) continue;
      const [path = "", heading] = link!.split("#");
      const target = path === "" ? document : join(dirname(document), path);
      assert(existsSync(target), `${document} links to ${link}`);
      if (heading) assert(headingsOf(target).includes(heading), `${document} links to ${link}`);
      count += 1;
    }
  }
  assert(count >= 50, `${count} links were found`);
});

/** The names by which the headings of a document are linked to. */
function headingsOf(document: string): string[] {
  const headings = readFileSync(document, "utf8").matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}
