/**
 * Makes what tests run as other processes, so that it starts soon. For each process a runtime reads and compiles some
 * 130 modules of this package otherwise, which takes it longer than most tests. TANDEM_TEST_PROGRAMS tells where all
 * of it is:
 *
 * - bundles of the tests' own programs and of the entries of the package, each under the name of its source.
 *   `programOf` of tools.ts and hooks.mjs put them in place of the sources.
 * - `project/`: the examples as they are, and a configuration with which all runtimes find the bundled package.
 *
 *     node scripts/bundle.mjs FOLDER
 *
 * @module
 */
import { build } from "esbuild";
import { cpSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const checkout = fileURLToPath(new URL("..", import.meta.url));
const outdir = resolve(process.argv[2]);

/** The sources of the package's entries. */
const entries = {
  "@tandem/ipc": "mod.ts",
  "@tandem/ipc/limit": "src/limit/main.ts",
  "@tandem/ipc/nats": "src/nats/main.ts",
  "@tandem/ipc/node": "src/node/main.ts",
  "@tandem/ipc/pool": "src/pool/main.ts",
  "@tandem/ipc/zmq": "src/zmq/main.ts",
};
const assertions = join(checkout, "tests/support/std_assert.js");

/** What a worker of a pool runs before its own file. */
const bootstrap = "src/pool/worker/bootstrap.ts";

const common = {
  absWorkingDir: checkout,
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
    ...mapValues(entries, (source) => join(checkout, source)),
    "@std/assert": assertions,
  },
  logLevel: "warning",
  plugins: [
    { name: "places", setup: (build) => build.onLoad({ filter: /\.ts$/ }, load) },
    {
      name: "library",
      setup: (build) => build.onLoad({ filter: /\/embedded\.js$/ }, loadNoLibrary),
    },
    { name: "NATS", setup: (build) => build.onResolve({ filter: /^@nats-io\// }, installed) },
  ],
};

const workers = "tests/fixtures/{pool/*,cli/*,pool_worker}.ts";
await Promise.all([
  build({
    ...common,
    entryPoints: find(["src/cli/main.ts", "tests/{fixtures,faults}/**/*.ts"], [
      workers,
      "**/*_test.ts",
    ]),
  }),
  // What several of these import is in files that they share, as in the npm package: a worker runs two of them.
  build({
    ...common,
    entryPoints: [...Object.values(entries), bootstrap, ...find(workers)],
    splitting: true,
  }),
]);
makeProject(join(outdir, "project"));

function find(patterns, exclude = []) {
  return globSync(patterns, { cwd: checkout, exclude });
}

/** The NATS client is no part of a bundle: it is loaded from where it is installed. */
function installed({ path }) {
  const file = createRequire(import.meta.url).resolve(path);
  return { path: pathToFileURL(file).href, external: true };
}

/** Every module goes on to find files from where it lies in the checkout. */
function load({ path }) {
  const name = JSON.stringify(path);
  const contents = readFileSync(path, "utf8")
    // A pool finds it by its place.
    .replaceAll('"../worker/bootstrap.ts"', JSON.stringify(pathToFileURL(bundleOf(bootstrap)).href))
    .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href))
    .replaceAll("import.meta.filename", name)
    .replaceAll("import.meta.main", `${isProgram(path)}`);
  return { contents, loader: "ts" };
}

/** Bundles find the library in the checkout. Without it as half a megabyte of text they load a tenth sooner. */
function loadNoLibrary({ path }) {
  return { contents: readFileSync(path, "utf8").replace(/"[^"]{1000,}"/g, '""') };
}

/** What `import.meta.main` of a module is: it runs as the program, in Node under its own name, else under its bundle's. */
function isProgram(path) {
  const names = [path, bundleOf(relative(checkout, path))];
  return `${JSON.stringify(names)}.includes(globalThis.process.argv[1])`;
}

function bundleOf(source) {
  return `${outdir}/${source}.mjs`;
}

/**
 * A project like one of a user: the commands of the examples' documents run there. Workers of pools that run in a test
 * itself use its configurations, too, and so find the bundle of what they run first.
 */
function makeProject(folder) {
  mkdirSync(folder);
  cpSync(join(checkout, "examples"), join(folder, "examples"), { recursive: true });
  for (const name of ["LICENSE", "README.md", "node_modules", "scripts"]) {
    symlinkSync(join(checkout, name), join(folder, name));
  }
  const places = mapValues({ ...entries, [join(checkout, bootstrap)]: bootstrap }, bundleOf);
  const all = { ...places, "@std/assert": assertions };
  const files = {
    // With it Deno looks into node_modules.
    "package.json": { type: "module" },
    "deno.json": { nodeModulesDir: "manual", lock: false, imports: all },
    "tsconfig.json": { compilerOptions: { paths: mapValues(all, (place) => [place]) } },
  };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), JSON.stringify(content));
  }
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}
