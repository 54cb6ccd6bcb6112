/**
 * Removes the declarations that the entries of the npm package do not reach: those of internal modules.
 *
 *     bun scripts/prune_declarations.ts FOLDER
 *
 * @module
 */
import { readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";

const folder = resolve(process.argv[2] ?? "dist");
const imports = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)\.ts"/g;
const reached = new Set<string>();

function reach(file: string): void {
  if (reached.has(file)) return;
  reached.add(file);
  // Examples in comments import as well.
  const text = readFileSync(file, "utf8").replaceAll(/^\s*\*.*$/gm, "");
  for (const [, path] of text.matchAll(imports)) reach(`${join(dirname(file), path!)}.d.ts`);
}

for (
  const entry of [
    "mod.d.ts",
    "src/limit/main.d.ts",
    "src/nats/main.d.ts",
    "src/node/main.d.ts",
    "src/pool/main.d.ts",
    "src/zmq/main.d.ts",
  ]
) {
  reach(join(folder, entry));
}
const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
for (const entry of entries) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && path.endsWith(".d.ts") && !reached.has(path)) rmSync(path);
}
// The deepest folders first: those above may be empty then.
for (const entry of entries.filter((entry) => entry.isDirectory()).reverse()) {
  const path = join(entry.parentPath, entry.name);
  if (readdirSync(path).length === 0) rmdirSync(path);
}
