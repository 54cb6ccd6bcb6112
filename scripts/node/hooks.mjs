/**
 * Lets Node run the programs of this checkout as Deno and Bun do: it finds `@tandem/ipc` and `@std/assert`,
 * and in versions without `using` it rewrites the modules that declare something so.
 *
 *     node --import ./scripts/node/hooks.mjs FILE
 *
 * TANDEM_TEST_PROGRAMS names a folder that scripts/bundle.mjs has filled. Programs that are in it run from there, and
 * those outside the checkout import the package from there.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire, enableCompileCache, registerHooks } from "node:module";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const checkout = new URL("../../", import.meta.url);
// Else each of the thousand processes of the tests spends 0.3 s of the processor on stripping types.
enableCompileCache(fileURLToPath(new URL(".tools/node-cache", checkout)));

const bundles = process.env.TANDEM_TEST_PROGRAMS;

const entries = new Map([
  ["@tandem/ipc", "mod.ts"],
  ["@tandem/ipc/limit", "src/limit/main.ts"],
  ["@tandem/ipc/nats", "src/nats/main.ts"],
  ["@tandem/ipc/node", "src/node/main.ts"],
  ["@tandem/ipc/pool", "src/pool/main.ts"],
  ["@tandem/ipc/zmq", "src/zmq/main.ts"],
]);

/** `using` came with version 24. */
const isOld = Number(process.versions.node.split(".")[0]) < 24;
const declares = /^\s*(?:await )?using |\((?:await )?using |for \((?:const|using) /m;

registerHooks({
  resolve(specifier, context, next) {
    return next(findModule(specifier, context.parentURL) ?? specifier, context);
  },
  ...(isOld ? { load } : {}),
});

function findModule(specifier, importer) {
  if (specifier === "@std/assert") return new URL("tests/support/std_assert.js", checkout).href;
  const source = entries.get(specifier);
  if (source !== undefined) {
    const { href } = new URL(source, checkout);
    return importer.startsWith(checkout.href) ? href : bundleOf(href) ?? href;
  }
  // Nobody imports a program but Node itself, and by its path only a flag names a module.
  if (importer === undefined) return bundleOf(specifier);
  return specifier.startsWith("/") ? bundleOf(pathToFileURL(specifier).href) : undefined;
}

/** Where the bundle of a module is, if there is one. */
function bundleOf(url) {
  if (!bundles || !url.startsWith(checkout.href)) return undefined;
  const bundle = pathToFileURL(`${bundles}/${url.slice(checkout.href.length)}.mjs`);
  return existsSync(bundle) ? bundle.href : undefined;
}

function load(url, context, next) {
  if (!url.startsWith(checkout.href) || !url.endsWith(".ts") || url.includes("/node_modules/")) {
    return next(url, context);
  }
  const source = readFileSync(new URL(url), "utf8");
  if (!declares.test(source)) return next(url, context);
  const { transformSync } = createRequire(import.meta.url)("esbuild");
  const { code } = transformSync(source, { loader: "ts", target: "node22", sourcefile: url });
  return { format: "module", source: code, shortCircuit: true };
}
