/**
 * Lets Node run the programs of this checkout as Deno and Bun do: it finds `@tandem/ipc` and `@std/assert`,
 * and in versions without `using` it rewrites the modules that declare something so.
 *
 *     node --import ./scripts/node/hooks.mjs FILE
 *
 * TANDEM_TEST_PROGRAMS names a folder that scripts/bundle.mjs has filled. Programs that are in it run from there.
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

const own = new Map([
  ["@tandem/ipc", new URL("mod.ts", checkout).href],
  ["@tandem/ipc/limit", new URL("src/limit/main.ts", checkout).href],
  ["@tandem/ipc/nats", new URL("src/nats/main.ts", checkout).href],
  ["@tandem/ipc/node", new URL("src/node/main.ts", checkout).href],
  ["@tandem/ipc/pool", new URL("src/pool/main.ts", checkout).href],
  ["@tandem/ipc/zmq", new URL("src/zmq/main.ts", checkout).href],
  ["@std/assert", new URL("tests/support/std_assert.js", checkout).href],
]);

/** `using` came with version 24. */
const isOld = Number(process.versions.node.split(".")[0]) < 24;
const declares = /^\s*(?:await )?using |\((?:await )?using |for \((?:const|using) /m;

const bundles = process.env.TANDEM_TEST_PROGRAMS;

registerHooks({
  resolve(specifier, context, next) {
    const bundle = context.parentURL === undefined ? bundleOf(specifier) : undefined;
    return next(bundle ?? own.get(specifier) ?? specifier, context);
  },
  ...(isOld ? { load } : {}),
});

/** Where the bundle of a program is, which nobody imports but Node itself. */
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
