/**
 * Bundles the programs that tests start as other processes. For each of them a runtime reads and compiles some
 * 130 modules otherwise, which takes it longer than most tests. TANDEM_TEST_PROGRAMS tells where the bundles are:
 * `toolCommand` of tools.ts and hooks.mjs run them in place of the programs.
 *
 *     node scripts/bundle.mjs FOLDER
 *
 * @module
 */
import { build } from "esbuild";
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const checkout = fileURLToPath(new URL("..", import.meta.url));
const [outdir] = process.argv.slice(2);

await build({
  absWorkingDir: checkout,
  entryPoints: globSync(["src/cli/main.ts", "tests/{fixtures,faults}/**/*.ts"], {
    cwd: checkout,
    exclude: (name) => name.endsWith("_test.ts"),
  }),
  outdir,
  outbase: checkout,
  // Stacks go on to name the programs.
  outExtension: { ".js": ".ts.mjs" },
  bundle: true,
  keepNames: true,
  format: "esm",
  platform: "node",
  // The oldest supported version of Node has no `using`.
  target: `node${process.versions.node}`,
  alias: {
    "@tandem/ipc/limit": join(checkout, "src/limit/main.ts"),
    "@tandem/ipc/nats": join(checkout, "src/nats/main.ts"),
    "@tandem/ipc/node": join(checkout, "src/node/main.ts"),
    "@tandem/ipc/pool": join(checkout, "src/pool/main.ts"),
    "@tandem/ipc/zmq": join(checkout, "src/zmq/main.ts"),
    "@tandem/ipc": join(checkout, "mod.ts"),
    "@std/assert": join(checkout, "tests/support/std_assert.js"),
  },
  logLevel: "warning",
  plugins: [
    { name: "places", setup: (build) => build.onLoad({ filter: /\.ts$/ }, load) },
    { name: "NATS", setup: (build) => build.onResolve({ filter: /^@nats-io\// }, installed) },
  ],
});

/** The NATS client is no part of a bundle: it is loaded from where it is installed. */
function installed({ path }) {
  const file = createRequire(import.meta.url).resolve(path);
  return { path: pathToFileURL(file).href, external: true };
}

/** Every module goes on to find files from where it lies in the checkout. */
function load({ path }) {
  const name = JSON.stringify(path);
  const contents = readFileSync(path, "utf8")
    .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href))
    .replaceAll("import.meta.filename", name)
    .replaceAll("import.meta.main", `${isProgram(path)}`);
  return { contents, loader: "ts" };
}

/** What `import.meta.main` of a module is: it runs as the program, in Node under its own name, else under its bundle's. */
function isProgram(path) {
  const names = [path, `${resolve(outdir)}/${relative(checkout, path)}.mjs`];
  return `${JSON.stringify(names)}.includes(globalThis.process.argv[1])`;
}
