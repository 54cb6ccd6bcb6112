/** Programs that are bundled, minified and compiled, as both runtimes run them. */
import { assertEquals } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  atEnd,
  type Child,
  newTarget,
  type Runtime,
  runtime,
  runtimePath,
  runtimes,
  startProgram,
  test,
} from "../support/harness.ts";

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

const esbuild = (format: "esm" | "cjs" | "iife"): Bundler => (entry, out) =>
  run([
    join(modules, `@esbuild/linux-${process.arch}/bin/esbuild`),
    "--bundle",
    "--minify",
    "--platform=node",
    "--target=esnext",
    "--log-level=error",
    `--format=${format}`,
    `--outfile=${out}`,
    entry,
  ]);

const bunBuild = (...flags: readonly string[]): Bundler => (entry, out) =>
  run([runtimePath("bun"), "build", ...flags, `--outfile=${out}`, entry]);

const minifiers: Readonly<Record<string, Bundler>> = {
  esbuild: esbuild("esm"),
  bun: bunBuild("--minify", "--target=node"),
};

/** The command that runs a bundle. */
function command(runtime: Runtime, bundle: string): string[] {
  const flags = runtime === "deno" ? ["--quiet", "--no-prompt", "--allow-ffi"] : [];
  return [runtimePath(runtime), "run", ...flags, bundle];
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

test("esbuild --minify and bun build --minify: services and clients, each in both runtimes", async () => {
  const out = scratch();
  const bundle = async (program: string, minifier: string): Promise<string> => {
    const path = join(out, `${program}-${minifier}.mjs`);
    await minifiers[minifier]!(join(fixtures, `bundled_${program}.ts`), path);
    return path;
  };
  for (const [one, other] of [["esbuild", "bun"], ["bun", "esbuild"]] as const) {
    const [service, client] = await Promise.all([bundle("service", one), bundle("client", other)]);
    await assertTalk(command("deno", service), command("bun", client));
    await assertTalk(command("bun", service), command("deno", client));
  }
});

for (const format of ["cjs", "iife"] as const) {
  test(`esbuild --minify --format=${format}: a program that is no module, in both runtimes`, async () => {
    const out = scratch();
    const [entry, bundle] = [join(out, "entry.ts"), join(out, "bundle.cjs")];
    const code = `import { connect, serve } from ${JSON.stringify(join(fixtures, "../../mod.ts"))};
async function main() {
  await using service = serve(process.argv[2], { add: (a, b) => a + b });
  using remote = connect(process.argv[2]);
  console.log(await remote.add(1, 2));
}
void main();
`;
    writeFileSync(entry, code);
    await esbuild(format)(entry, bundle);
    for (const runtime of runtimes) {
      const child = start(command(runtime, bundle), newTarget());
      await child.expect("3");
      await child.ended();
    }
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
