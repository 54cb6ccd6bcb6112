/** Programs that are bundled, minified and compiled, as every runtime runs them. */
import { assertEquals } from "@std/assert";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  afterEnd,
  atEnd,
  type Child,
  newTarget,
  pairs,
  type Runtime,
  runtime,
  runtimePath,
  runtimes,
  startProgram,
  test,
} from "../support/harness.ts";
import { hasNatsServer, startNatsServer, withJetStream } from "../support/nats_server.ts";
import { checkout, toolPath } from "../../scripts/tools.ts";

/** Bundlers and compilers keep a loaded machine busy for long. */
const patience = 180_000;

const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));
const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** On disk, since a compiled program has a hundred megabytes. */
function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), "tandem-bundles-"));
  atEnd(() => Promise.resolve(rmSync(path, { recursive: true })));
  return path;
}

async function run(command: readonly string[]): Promise<void> {
  await startProgram(command.join(" "), command, { NO_COLOR: "1" }).ended();
}

/** Makes one file of a program and this package. */
type Bundler = (entry: string, out: string) => Promise<void>;

function runEsbuild(...flags: readonly string[]): Promise<void> {
  const command = join(modules, `@esbuild/linux-${process.arch}/bin/esbuild`);
  const usual = ["--bundle", "--platform=node", "--target=esnext", "--log-level=error"];
  return run([command, ...usual, ...flags]);
}

const esbuild = (...flags: readonly string[]): Bundler => (entry, out) =>
  runEsbuild(...flags, `--outfile=${out}`, entry);

const bunBuild = (...flags: readonly string[]): Bundler => (entry, out) =>
  run([runtimePath("bun"), "build", ...flags, `--outfile=${out}`, entry]);

const minifiers = {
  esbuild: esbuild("--minify", "--format=esm"),
  bun: bunBuild("--minify", "--target=node"),
} as const;

/** The command that runs a bundle. */
function command(runtime: Runtime, bundle: string): string[] {
  const flags = {
    deno: ["run", "--quiet", "--no-prompt", "--allow-ffi"],
    bun: ["run"],
    node: [],
  } as const;
  return [runtimePath(runtime), ...flags[runtime], bundle];
}

function start(command: readonly string[], target: string): Child {
  // What is bundled is tested, not the library of this checkout.
  const env = { TANDEM_LIBRARY: undefined, NO_COLOR: "1" };
  return startProgram(command.join(" "), [...command, target], env);
}

/** Some of what fixtures/bundled_client.ts prints: the rest is what it prints when nothing is bundled. */
const expected: Readonly<Record<string, unknown>> = {
  sum: 3,
  items: [0, 1, 2],
  text: "abc",
  lent: 6,
  long: [3_000_000, 3_000_000],
  shapes: ["Map", "Date", "BigInt", "Float64Array", "Error"].map((name) => `[object ${name}]`),
  find: { classes: ["NotFound"], message: "there is no 3", id: 3 },
  spend: { classes: ["QuotaError"], message: "none is left", cause: true },
  names: ["TandemError", "RemoteError"],
};

/** What the client prints that is started by `client`, called by the service that is started by `service`. */
async function talk(
  service: readonly string[],
  client: readonly string[],
): Promise<Record<string, unknown>> {
  const target = newTarget();
  const serving = start(service, target);
  await serving.expect("ready");
  const calling = start(client, target);
  const seen = await calling.message<Record<string, unknown>>();
  await calling.ended();
  await serving.killed();
  return seen;
}

let fromSource: Record<string, unknown> | undefined;

/** Asserts that programs work as they do when nothing is bundled. */
async function assertTalk(service: readonly string[], client: readonly string[]): Promise<void> {
  fromSource ??= await talk(command("deno", serviceSource), command("bun", clientSource));
  const seen = await talk(service, client);
  for (const [name, value] of Object.entries(expected)) assertEquals(seen[name], value, name);
  assertEquals(seen, fromSource);
}

const serviceSource = join(fixtures, "bundled_service.ts");
const clientSource = join(fixtures, "bundled_client.ts");

test(
  "esbuild --minify and bun build --minify: services and clients, each in every runtime",
  async () => {
    const out = scratch();
    const bundle = async (program: string, minifier: keyof typeof minifiers): Promise<string> => {
      const path = join(out, `${program}-${minifier}.mjs`);
      await minifiers[minifier](join(fixtures, `bundled_${program}.ts`), path);
      return path;
    };
    for (const [one, other] of [["esbuild", "bun"], ["bun", "esbuild"]] as const) {
      const [service, client] = await Promise.all([
        bundle("service", one),
        bundle("client", other),
      ]);
      for (const pair of pairs) {
        await assertTalk(command(pair.server, service), command(pair.client, client));
      }
    }
  },
  { timeout: patience },
);

for (const format of ["cjs", "iife"] as const) {
  test(`esbuild --minify --format=${format}: programs that are no modules`, async () => {
    const out = scratch();
    const [service, client] = [join(out, "service.cjs"), join(out, "client.cjs")];
    const bundle = esbuild("--minify", `--format=${format}`);
    await Promise.all([bundle(serviceSource, service), bundle(clientSource, client)]);
    await assertTalk(command(runtime, service), command(runtime, client));
  });
}

/** A folder with programs that use the npm package: it is in node_modules, as for every user. */
async function install(): Promise<{ out: string; service: string; client: string }> {
  const out = scratch();
  const installed = join(out, "node_modules/@tandem/ipc");
  mkdirSync(installed, { recursive: true });
  await run([join(checkout, "scripts/build_package"), join(installed, "dist")]);
  copyFileSync(join(checkout, "package.json"), join(installed, "package.json"));
  const [service, client] = [join(out, "bundled_service.ts"), join(out, "bundled_client.ts")];
  copyFileSync(serviceSource, service);
  copyFileSync(clientSource, client);
  return { out, service, client };
}

// The bundles of the npm package: the suite of the runtime that they are for is enough.
if (runtime === "node") {
  test(
    "the npm package in bundles of esbuild and bun build, modules or not, minified or not",
    async () => {
      const { out, service, client } = await install();
      const ways: readonly [extension: string, bundle: Bundler][] = [
        ["mjs", esbuild("--format=esm")],
        ["mjs", esbuild("--format=esm", "--minify")],
        ["cjs", esbuild("--format=cjs")],
        ["cjs", esbuild("--format=cjs", "--minify")],
        ["mjs", bunBuild("--target=node")],
        ["mjs", bunBuild("--target=node", "--minify")],
        ["cjs", bunBuild("--target=node", "--format=cjs")],
      ];
      for (const [index, [extension, bundle]] of ways.entries()) {
        const [serving, calling] = ["service", "client"].map((name) =>
          join(out, `${name}-${index}.${extension}`)
        ) as [string, string];
        await Promise.all([bundle(service, serving), bundle(client, calling)]);
        await assertTalk(command("node", serving), command("node", calling));
      }
    },
    { timeout: patience },
  );

  test("esbuild --target=node22: the oldest Node runs the npm package's bundle", async () => {
    const { out, service, client } = await install();
    const [serving, calling] = [join(out, "service.mjs"), join(out, "client.mjs")];
    const bundle = esbuild("--target=node22", "--format=esm");
    await Promise.all([bundle(service, serving), bundle(client, calling)]);
    const oldest = toolPath("oldest-node");
    await assertTalk([oldest, serving], [oldest, calling]);
    await assertTalk([oldest, serving], command("node", calling));
  }, { timeout: patience });

  test("node --build-sea: a service that is one executable file", async () => {
    const { out, service } = await install();
    const [main, settings, output] = ["main.cjs", "sea.json", "service"].map((name) =>
      join(out, name)
    ) as [string, string, string];
    await esbuild("--format=cjs", "--minify")(service, main);
    writeFileSync(settings, JSON.stringify({ main, output, disableExperimentalSEAWarning: true }));
    await run([runtimePath("node"), `--build-sea=${settings}`]);
    await assertTalk([output], command("bun", clientSource));
  }, { timeout: patience });
}

/** Bundles a program in a folder, where it may get several files; returns the one to start. */
type FolderBundler = (entry: string, folder: string) => Promise<string>;

const oneFile = (bundle: Bundler, extension: string): FolderBundler => async (entry, folder) => {
  const out = join(folder, `main.${extension}`);
  await bundle(entry, out);
  return out;
};

/** The NATS client calls `require`, which esbuild leaves out of modules. */
const withRequire =
  'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';
const esbuildModule = ["--format=esm", `--banner:js=${withRequire}`];

const severalFiles: FolderBundler = async (entry, folder) => {
  const flags = [...esbuildModule, "--splitting", "--entry-names=main", "--out-extension:.js=.mjs"];
  await runEsbuild(...flags, `--outdir=${folder}`, entry);
  return join(folder, "main.mjs");
};

const severalFilesOfBun: FolderBundler = async (entry, folder) => {
  const flags = ["--target=node", "--splitting", "--entry-naming=main.mjs", `--outdir=${folder}`];
  await run([runtimePath("bun"), "build", ...flags, entry]);
  return join(folder, "main.mjs");
};

if (runtime === "node") {
  test("bundled programs across machines, with and without @tandem/ipc/nats", async () => {
    const server = await startNatsServer(withJetStream);
    afterEnd(() => server.kill());
    const { out } = await install();
    symlinkSync(join(modules, "@nats-io"), join(out, "node_modules/@nats-io"));
    const program = readFileSync(join(fixtures, "bundled_nats.ts"), "utf8");
    const sources = { late: program, atOnce: `import "@tandem/ipc/nats";\n${program}` };
    const ways: Readonly<Record<string, FolderBundler>> = {
      module: oneFile(esbuild(...esbuildModule), "mjs"),
      minified: oneFile(esbuild("--format=cjs", "--minify"), "cjs"),
      several: severalFiles,
      bun: oneFile(bunBuild("--target=node", "--minify"), "mjs"),
      bunSeveral: severalFilesOfBun,
    };
    for (const [kind, source] of Object.entries(sources)) {
      const entry = join(out, `${kind}.ts`);
      writeFileSync(entry, source);
      for (const [way, bundle] of Object.entries(ways)) {
        const name = `${kind}-${way}`;
        const folder = join(out, name);
        mkdirSync(folder);
        const main = await bundle(entry, folder);
        for (const each of runtimes) {
          const run = [runtimePath(each), ...(each === "deno" ? ["run", "-A"] : []), main];
          const started = [...run, server.address, `${name}-${each}`];
          const child = startProgram(name, started, { NO_COLOR: "1" });
          assertEquals([name, each, await child.message()], [name, each, [3, "dear", 1]]);
          await child.ended();
        }
      }
    }
  }, {
    timeout: patience,
    skip: hasNatsServer() ? null : "scripts/setup --tests installs a NATS server",
  });
}

if (runtime === "bun") {
  test("bun build --target=bun: the npm package in bundles for Bun, minified or not", async () => {
    const { out, service, client } = await install();
    const [serving, calling] = [join(out, "service.js"), join(out, "client.js")];
    await bunBuild("--target=bun")(service, serving);
    await bunBuild("--target=bun", "--minify")(client, calling);
    await assertTalk(command("bun", serving), command("bun", calling));
  });
}

// Once is enough: the programs that it starts run in no test runner.
if (runtime === "bun") {
  test("bun build --compile, also with --minify: a service and its client", async () => {
    const out = scratch();
    const [service, client] = [join(out, "service"), join(out, "client")];
    await bunBuild("--compile")(serviceSource, service);
    await bunBuild("--compile", "--minify")(clientSource, client);
    await assertTalk([service], [client]);
    await assertTalk([service], command("deno", clientSource));
  });
}

/** Deno downloads the base of compiled programs when it compiles the first one. */
const denort = (process.env.DENORT_BIN ?? "") !== "" ? null : "DENORT_BIN is not set";

test("deno compile: a service and its client", async () => {
  const out = scratch();
  const compiled = [["service", serviceSource], ["client", clientSource]] as const;
  for (const [name, source] of compiled) {
    const flags = ["--quiet", "--no-check", "--allow-ffi", "--output", join(out, name)];
    await run([runtimePath("deno"), "compile", ...flags, source]);
  }
  await assertTalk([join(out, "service")], [join(out, "client")]);
  await assertTalk([join(out, "service")], command("bun", clientSource));
}, { skip: denort });
