/**
 * Bundles the programs that tests start as other processes. Node reads and strips some 130 modules for each of
 * them otherwise, which takes it longer than most tests. hooks.mjs runs the bundles in their place.
 *
 *     node scripts/node/bundle.mjs FOLDER
 *
 * @module
 */
import { build } from "esbuild";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const [outdir] = process.argv.slice(2);

await build({
  absWorkingDir: checkout,
  entryPoints: globSync("tests/{fixtures,faults}/**/*.ts", {
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
  // The oldest supported version has no `using`.
  target: `node${process.versions.node}`,
  alias: {
    "@tandem/ipc/limit": join(checkout, "src/limit/main.ts"),
    "@tandem/ipc/pool": join(checkout, "src/pool/main.ts"),
    "@tandem/ipc/zmq": join(checkout, "src/zmq/main.ts"),
    "@tandem/ipc": join(checkout, "mod.ts"),
    "@std/assert": join(checkout, "tests/support/std_assert.js"),
  },
  logLevel: "warning",
  plugins: [{ name: "places", setup: (build) => build.onLoad({ filter: /\.ts$/ }, load) }],
});

/** Every module goes on to find files from where it lies in the checkout. */
function load({ path }) {
  const name = JSON.stringify(path);
  const contents = readFileSync(path, "utf8")
    .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href))
    .replaceAll("import.meta.filename", name)
    .replaceAll("import.meta.main", `(globalThis.process.argv[1] === ${name})`);
  return { contents, loader: "ts" };
}
