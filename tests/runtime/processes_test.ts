/** How processes of a runtime are found and started: src/runtime/processes.ts. */
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { checkout, toolPath } from "../../scripts/tools.ts";
import {
  type Command,
  findRuntime,
  type ProcessOptions,
  type RunOptions,
  runtimeCommand,
  startProcess,
} from "../../src/runtime/processes.ts";
import {
  assertThrowsCode,
  eventually,
  folder,
  type Runtime,
  runtime,
  runtimes,
  test,
} from "../support/harness.ts";

const fixture = join(checkout, "tests/fixtures/started.ts");
const other: Runtime = runtime === "deno" ? "bun" : "deno";

/** What fixtures/started.ts prints. */
interface Started {
  readonly permissions: readonly string[];
  readonly pid: number;
  readonly group: number;
  readonly cwd: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

async function run(
  command: Command,
  options: ProcessOptions = {},
): Promise<Started & { child: number }> {
  const child = startProcess(command, options);
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [out, err] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  assertEquals([await ended, err], [0, ""]);
  return { ...JSON.parse(out), child: child.pid };
}

function command(name: Runtime, options: RunOptions = {}): Command {
  return runtimeCommand(name, fixture, { candidates: [toolPath(name)], ...options });
}

/** The tests run one at a time, so that a change of the environment meets no other test. */
async function withPath<T>(path: string | undefined, body: () => T | Promise<T>): Promise<T> {
  const before = process.env.PATH;
  if (path === undefined) delete process.env.PATH;
  else process.env.PATH = path;
  try {
    return await body();
  } finally {
    process.env.PATH = before;
  }
}

for (const name of runtimes) {
  test(`a ${name} process gets its arguments and keeps the process id`, async () => {
    const args = ["two words", "", "$HOME", "--flag", "a=b"];
    const started = await run(command(name, { args }));
    assertEquals(started.args, args);
    assertEquals(started.pid, started.child);
    assertEquals(started.cwd, process.cwd());
  });

  test(`a ${name} process has the environment of its parent with the given changes`, async () => {
    process.env.TANDEM_KEPT = "kept";
    process.env.TANDEM_GONE = "gone";
    process.env.TANDEM_CHANGED = "before";
    try {
      const env = {
        TANDEM_CHANGED: "after\n2",
        TANDEM_GONE: undefined,
        "tandem.dotted-name": "there",
        TANDEM_EMPTY: "",
      };
      const started = await run(command(name), { env });
      assertEquals(started.env.TANDEM_KEPT, "kept");
      assertEquals(started.env.TANDEM_CHANGED, "after\n2");
      assertEquals(started.env["tandem.dotted-name"], "there");
      assertEquals(started.env.TANDEM_EMPTY, "");
      assert(!("TANDEM_GONE" in started.env), "removed");
      assertEquals(process.env.TANDEM_GONE, "gone");
    } finally {
      for (const key of ["TANDEM_KEPT", "TANDEM_GONE", "TANDEM_CHANGED"]) delete process.env[key];
    }
  });

  test(`a ${name} process runs in the given folder`, async () => {
    const started = await run(command(name), { cwd: folder() });
    assertEquals(started.cwd, folder());
  });

  test(`a detached ${name} process has a process group of its own`, async () => {
    const attached = await run(command(name));
    assertNotEquals(attached.group, attached.pid);
    const detached = await run(command(name), { isDetached: true });
    assertEquals(detached.group, detached.pid);
  });

  test(`a ${name} process runs a file with a strange name`, async () => {
    // Neither Deno nor Bun takes "?" or "#" in a path on its command line.
    const path = join(folder(), "-a file%20.ts");
    writeFileSync(path, readFileSync(fixture));
    for (const file of [path, pathToFileURL(path), pathToFileURL(path).href]) {
      const options = { args: ["x"], candidates: [toolPath(name)] };
      assertEquals((await run(runtimeCommand(name, file, options))).args, ["x"]);
    }
  });
}

test("a Deno process has exactly the permissions that were given", async () => {
  const all = ["read", "write", "net", "env", "run", "ffi", "sys"];
  assertEquals((await run(command("deno"))).permissions, all);
  assertEquals((await run(command("deno", { runtimeArgs: [] }))).permissions, []);
  const some = await run(command("deno", { runtimeArgs: ["--allow-ffi", "--allow-net"] }));
  assertEquals(some.permissions, ["net", "ffi"]);
});

test("a Node process gets the flags of Node before its file", async () => {
  const module = 'data:text/javascript,process.env.TANDEM_FLAG="set"';
  const runtimeArgs = ["--import", module, "--no-warnings"];
  const started = await run(command("node", { runtimeArgs, args: ["--import", "x"] }));
  assertEquals(started.env.TANDEM_FLAG, "set");
  assertEquals(started.args, ["--import", "x"]);
});

test("a relative path is one of the parent's working directory", () => {
  const relative = "tests/fixtures/started.ts";
  const { args } = runtimeCommand(runtime, relative);
  assertEquals(args.at(-1), `${process.cwd()}/${relative}`);
});

test("a module of the Web runs in Deno alone", () => {
  const candidates = [toolPath("deno")];
  const url = "https://example.com/worker.ts";
  assertEquals(runtimeCommand("deno", url, { candidates }).args.at(-1), url);
  const error = assertThrows(() => runtimeCommand("bun", url, { candidates: [toolPath("bun")] }));
  assert(error instanceof TypeError);
  assertStringIncludes(error.message, url);
});

test("the own runtime is the binary of this process", () => {
  assertEquals(findRuntime(runtime, ["/bin/sh"]), process.execPath);
});

test("another runtime is the first executable file of the candidates, then of PATH", async () => {
  const [empty, first, second] = ["empty", "first", "second"].map((name) => join(folder(), name));
  for (const path of [empty, first, second]) mkdirSync(path!);
  // Neither a folder nor a file that is not executable is a program.
  mkdirSync(join(empty!, other));
  writeFileSync(join(first!, other), "", { mode: 0o644 });
  symlinkSync("/bin/sh", join(second!, other));
  await withPath([empty, first, second].join(":"), () => {
    assertEquals(findRuntime(other), join(second!, other));
    assertEquals(findRuntime(other, ["/nowhere", "/bin/cat"]), "/bin/cat");
  });
});

test("NOT_FOUND names each path at which a runtime was looked for, and what to do", async () => {
  await withPath(`${folder()}:/nowhere`, () => {
    const at = [join(folder(), other), `/nowhere/${other}`, "PATH"];
    assertThrowsCode(() => findRuntime(other, ["/candidate"]), "NOT_FOUND", "/candidate", ...at);
  });
  await withPath(undefined, () => {
    assertThrowsCode(() => findRuntime(other), "NOT_FOUND", other, "PATH is empty");
  });
});

test("NOT_FOUND where the program or the working directory does not exist", () => {
  const missing = join(folder(), "missing");
  assertThrowsCode(() => startProcess({ program: missing, args: [] }), "NOT_FOUND", missing);
  const shell = { program: "/bin/sh", args: ["-c", "true"] };
  assertThrowsCode(() => startProcess(shell, { cwd: missing }), "NOT_FOUND", missing, "/bin/sh");
});

/** Prints the codes and messages of the errors, when nothing is permitted but to load the program. */
const starter = `import { findRuntime, startProcess } from ${
  JSON.stringify(join(checkout, "src/runtime/processes.ts"))
};
const codes = [() => findRuntime("bun"), () => startProcess({ program: "/bin/sh", args: [] })]
  .map((body) => { try { body(); } catch (error) { return [error.code, error.message]; } });
console.log(JSON.stringify(codes));`;

const refusing = [
  ["deno", [`--allow-read=${checkout}`, "--allow-env=PATH"], "--allow-read", "--allow-run"],
  ["node", ["--permission"], "--allow-fs-read", "--allow-child-process"],
] as const;

for (const [name, flags, toLook, toStart] of refusing) {
  test(`${name} without the permissions says which are missing`, async () => {
    const path = join(folder(), "starter.ts");
    writeFileSync(path, starter);
    const readable = name === "node"
      ? [`--allow-fs-read=${checkout}`, `--allow-fs-read=${folder()}`]
      : [];
    const options = { runtimeArgs: [...flags, ...readable], candidates: [toolPath(name)] };
    const started = startProcess(runtimeCommand(name, path, options), {
      env: { PATH: "/usr/bin" },
    });
    const [look, start] = JSON.parse(await text(started.stdout!)) as [string, string][];
    assertEquals([look![0], start![0]], ["PERMISSION", "PERMISSION"]);
    const others = refusing.filter((other) => other[0] !== name).map((other) => other[2]);
    for (const [message, flag] of [[look![1], toLook], [start![1], toStart]] as const) {
      assertStringIncludes(message, flag);
      assertStringIncludes(message.toLowerCase(), `${name} refused`);
      for (const other of others) assert(!message.includes(other), message);
    }
    await eventually(() => started.exitCode === 0);
  });
}

test("the main entry loads no code that starts processes", () => {
  const seen = new Set<string>();
  const visit = (file: URL): void => {
    if (seen.has(file.href)) return;
    seen.add(file.href);
    const source = readFileSync(file, "utf8").replaceAll(/^\s*(\*|\/\/).*$/gm, "");
    for (const [, path] of source.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
      assertNotEquals(path, "node:child_process", file.pathname);
      if (path!.startsWith(".")) visit(new URL(path!, file));
    }
  };
  visit(new URL("../../mod.ts", import.meta.url));
  assert(seen.size > 30, "the imports are followed");
  assert([...seen].every((file) => !file.endsWith("/processes.ts")));
});
