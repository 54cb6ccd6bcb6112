/**
 * Every example of the reference documentation and of the README, copied into a file of its own and
 * run in every runtime, in Deno with `--allow-ffi` alone; and the links between the documents.
 * `deno test --doc` type-checks the examples of the reference documentation.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { nodeArgs, programOf, toolCommand, toolPath } from "../../scripts/tools.ts";
import {
  type Child,
  folder,
  ownRuntime,
  type Runtime,
  runtime,
  runtimePath,
  startProgram,
  test,
} from "../support/harness.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

const sources: readonly string[] = [
  "mod.ts",
  ...readdirSync(join(repository, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts")).sort()
    .map((name) => `src/${name}`),
];

/** The entries that the examples import, by name. */
const entries: Readonly<Record<string, string>> = {
  "@tandem/ipc": "mod.ts",
  "@tandem/ipc/limit": "src/limit/main.ts",
  "@tandem/ipc/node": "src/node/main.ts",
  "@tandem/ipc/pool": "src/pool/main.ts",
  "@tandem/ipc/nats": "src/nats/main.ts",
  "@tandem/ipc/zmq": "src/zmq/main.ts",
};

/** The other modules that they import. */
const others: Readonly<Record<string, string>> = {
  "@std/assert": "tests/support/std_assert.js",
  "zod": "node_modules/zod/index.js",
};

const inRepository = (file: string) => join(repository, file);

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

function pathOf(name: string): string {
  return join(folder(), name);
}

/** Writes a program that imports this repository's sources, or what `place` says is in place of them. */
function writeProgram(
  name: string,
  code: string,
  place: (source: string) => string = programOf,
): string {
  const path = pathOf(name);
  const imports = [
    ...Object.entries(entries).map(([from, source]) => [from, place(inRepository(source))]),
    ...Object.entries(others).map(([from, file]) => [from, inRepository(file)]),
  ];
  const here = imports.reduce(
    (code, [from, to]) => code.replaceAll(`from "${from}"`, `from "${to}"`),
    code,
  );
  writeFileSync(path, here);
  return path;
}

/** Starts a program with `--allow-ffi`, and with further permissions that its first line names. */
function start(runtime: Runtime, name: string, code: string): Child {
  const path = writeProgram(name, code);
  const more = code.split("\n", 1)[0]!.match(/--allow-\w+/g) ?? [];
  const { program, args } = toolCommand(runtime, path, [], ["--no-prompt", "--allow-ffi", ...more]);
  const env = { TANDEM_DIR: folder(), NO_COLOR: "1" };
  return startProgram(`${runtime} ${name}`, [program, ...args], env);
}

for (const source of sources) {
  const examples = examplesOf(source);
  if (examples.length === 0) continue;
  for (const runtime of ownRuntime) {
    test(`${runtime}: the examples of ${source} run`, async () => {
      for (const { line, code } of examples) {
        const child = start(runtime, `example-${line}.ts`, code);
        await child.ended();
        assertEquals(child.stderr, "", child.describe());
      }
      // The files of limits stay: the next token is in them. So does the one in which the nodes of a group meet.
      const stays = (name: string) =>
        name.startsWith("example-") || name.endsWith(".limit") || name.endsWith(".nodes.tandem");
      const left = readdirSync(folder()).filter((name) => !stays(name));
      assertEquals(left, [], "an example leaves its channel behind");
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

/** Documents whose programs are run. */
const documents: readonly string[] = [
  "README.md",
  "docs/coming-from.md",
  "docs/coming-from-locks.md",
  "docs/coming-from-pools.md",
  ...readdirSync(join(repository, "docs/guide")).filter((name) => name !== "README.md").sort()
    .map((name) => `docs/guide/${name}`),
];

interface Program {
  /** What the first line says, as in `// service.ts`. Programs of a document may import each other. */
  readonly name: string;
  /**
   * What follows `ts` at the fence. `check`: it is compiled, and not run; `bun`: it runs in Bun only, and
   * is compiled with Bun's types only; `other`: a program without this package, which is compiled with
   * Bun's types, and not run.
   */
  readonly mark: string;
  readonly code: string;
}

function programsOf(document: string): readonly Program[] {
  const text = readFileSync(join(repository, document), "utf8");
  return [...text.matchAll(/^```ts ?(.*)\n([^]*?)^```$/gm)].map(([, mark, code], index) => {
    const [, name = `program-${index}.ts`] = /^\/\/ ([\w.-]+\.ts)\b/.exec(code!) ?? [];
    return { name, mark: mark!, code: code! };
  });
}

/** What an example says that it prints: the comments behind its `console.log`, as far as it gets there. */
function printedBy(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)]
    .map(([, line]) => line!)
    .filter((line) => !line.endsWith("…"));
}

const testFlags: readonly string[] = {
  deno: ["test", "--quiet", "--allow-ffi", "--no-check", "--sanitize-ops", "--sanitize-resources"],
  bun: ["test"],
  node: [...nodeArgs, "--test"],
}[runtime];

/** Runs a file of tests as users do, with the leak sanitizers that the runner has. */
async function runTests(name: string, code: string): Promise<void> {
  const path = writeProgram(name, code);
  // Node's runner runs nothing in a process that it has started itself.
  const env = { TANDEM_DIR: folder(), NO_COLOR: "1", NODE_TEST_CONTEXT: undefined };
  const command = [runtimePath(runtime), ...testFlags, path];
  await startProgram(`test ${name}`, command, env).ended();
}

for (const document of documents) {
  const programs = programsOf(document);

  test(`${runtime}: the programs of ${document} print what they say`, async () => {
    const services: Child[] = [];
    for (const { name, code } of programs) writeProgram(name, code);
    for (const { name, mark, code } of programs) {
      if (mark === "check" || mark === "other") continue;
      if (name.endsWith("_test.ts")) {
        await runTests(name, code);
        continue;
      }
      const child = start(mark === "bun" ? "bun" : runtime, name, code);
      for (const line of printedBy(code)) assertEquals(await child.line(), line, name);
      // Services wait for calls; the other programs end by themselves.
      if (name.includes("service")) services.push(child);
      else await child.ended();
      assertEquals(child.stderr, "", child.describe());
    }
    for (const service of services) {
      service.kill("SIGTERM");
      await service.ended();
    }
  });
}

// Once is enough: no part of it runs in the test runner.
if (runtime === "deno") {
  test("the programs of the documents compile, with the types of Deno and of Bun", async () => {
    const env = { NO_COLOR: "1" };
    const forDeno: string[] = [];
    for (const [index, document] of documents.entries()) {
      mkdirSync(pathOf(`${index}`));
      for (const { name, mark, code } of programsOf(document)) {
        // Bundles have no types.
        const path = writeProgram(`${index}/${name}`, code, (source) => source);
        if (mark !== "bun" && mark !== "other") forDeno.push(path);
      }
    }
    const config = join(repository, "doc_test.json");
    const check = ["check", "--quiet", "--config", config, ...forDeno];
    const modules = join(repository, "node_modules");
    symlinkSync(modules, pathOf("node_modules"));
    const project = {
      extends: join(repository, "tsconfig.json"),
      compilerOptions: {
        noUnusedLocals: false,
        paths: {},
        typeRoots: [modules, join(modules, "@types")],
      },
      include: ["*/*.ts"],
    };
    writeFileSync(pathOf("tsconfig.json"), JSON.stringify(project));
    const compilers = [
      startProgram("deno check", [runtimePath("deno"), ...check], env),
      startProgram("tsc", [toolPath("tsc"), "-p", pathOf("tsconfig.json")], env),
    ];
    for (const compiler of compilers) await compiler.ended();
  });
}

test("the documents have programs", () => {
  const count = documents.reduce((sum, document) => sum + programsOf(document).length, 0);
  assert(count >= 40, `${count} programs were found`);
  assert(programsOf("README.md").length >= 6);
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
