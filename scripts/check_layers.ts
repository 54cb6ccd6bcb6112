/**
 * Checks that imports point downwards, and that they make no cycles.
 *
 *     bun scripts/check_layers.ts
 *
 * A file may import files of its own layer and of those above it in the lists below, never of a later one.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative, resolve } from "node:path";
import process from "node:process";

const root = resolve(import.meta.dirname!, "..");

/** From the lowest layer to the highest. A layer is a file or a folder with all that is in it. */
const sourceLayers: readonly string[] = [
  "src/errors.ts",
  "src/runtime",
  "src/base",
  "src/ffi",
  "src/channel",
  "src/limit",
  "src/zmq",
  "src/int",
  "src/codec",
  "src/transport",
  "src/nats",
  "src/transport/targets.ts",
  // A limit may be across machines.
  "src/limit/limit.ts",
  "src/limit/idle_limits.ts",
  "src/limit/lock_request.ts",
  "src/limit/lock_manager.ts",
  "src/limit/main.ts",
  "src/rpc",
  "src/node",
  "src/nats/nodes",
  // The parts of a node, and what has them.
  "src/node/default_parts.ts",
  "src/node/node.ts",
  "src/node/supervisor",
  "src/node/main.ts",
  "src/pool/types.ts",
  "src/pool/options.ts",
  "src/pool/call_options.ts",
  "src/pool/link",
  "src/pool/session",
  "src/pool/supervisor",
  "src/pool/clients",
  "src/pool/front",
  "src/pool/worker",
  "src/pool",
  "mod.ts",
  "src/cli",
];

/**
 * Layers that must not know each other, although the order of the layers would allow it: the typed layer
 * speaks to transports through their interfaces, and the codec knows nothing of channels.
 */
const barriers: readonly (readonly [layer: string, forbidden: RegExp])[] = [
  ["src/rpc", /^src\/(?:channel|int|ffi)\//],
  ["src/rpc", /^src\/transport\/(?!transport\.ts$|targets\.ts$)/],
  ["src/codec", /^src\/(?:channel|int|ffi)\//],
];

/** As `sourceLayers`. The programs come last: they may use everything. */
const nativeLayers: readonly string[] = [
  "native/abi.zig",
  "native/numbers.zig",
  "native/platform",
  "native/memory",
  "native/waiting",
  "native/handle.zig",
  // What the two protocols share, below both: repair knows limits and channels.
  "native/protocol/table_bounds.zig",
  "native/protocol/participants.zig",
  "native/protocol/notify.zig",
  "native/protocol/wait.zig",
  "native/limit",
  "native/protocol",
  "native/calls",
  "native/worker",
  "native/zmq",
  "native/channel.zig",
  "native/exports",
  "native/lib.zig",
  "native/bench",
  "native/proof",
  "native",
];

interface Language {
  readonly extension: string;
  readonly folders: readonly string[];
  readonly imports: RegExp;
  readonly layers: readonly string[];
}

const typescript: Language = {
  extension: ".ts",
  folders: ["src", "mod.ts"],
  imports: /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+\.ts)"/g,
  layers: sourceLayers,
};

const zig: Language = {
  extension: ".zig",
  folders: ["native"],
  imports: /@import\("([^"]+\.zig)"\)/g,
  layers: nativeLayers,
};

const problems: string[] = [];

for (const language of [typescript, zig]) check(language);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function check({ extension, folders, imports, layers }: Language): void {
  const files = folders.flatMap((folder) => filesIn(folder, extension));
  const graph = new Map(files.map((file) => [file, importsOf(file, imports)]));
  for (const [file, imported] of graph) {
    const own = layerOf(file, layers);
    if (own < 0) problems.push(`${file} belongs to no layer: add its folder to check_layers.ts`);
    for (const other of imported) {
      if (layerOf(other, layers) > own) problems.push(`${file} imports ${other}, a higher layer`);
      for (const [layer, forbidden] of barriers) {
        if (file.startsWith(`${layer}/`) && forbidden.test(other)) {
          problems.push(`${file} imports ${other}, which ${layer} must not know`);
        }
      }
    }
  }
  for (const cycle of cyclesOf(graph)) problems.push(`an import cycle: ${cycle.join(" → ")}`);
}

function filesIn(place: string, extension: string): string[] {
  if (place.endsWith(extension)) return [place];
  return readdirSync(join(root, place), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(extension) && !name.endsWith(".d.ts"))
    .map((name) => join(place, name)).sort();
}

function importsOf(file: string, imports: RegExp): string[] {
  // Examples in comments import as well.
  const text = readFileSync(join(root, file), "utf8").replaceAll(/^\s*(\*|\/\/).*$/gm, "");
  return [...text.matchAll(imports)].map(([, path]) =>
    relative(root, normalize(join(root, dirname(file), path!)))
  );
}

/** The longest entry counts: a file may have another layer than its folder. */
function layerOf(file: string, layers: readonly string[]): number {
  let found = -1;
  layers.forEach((layer, index) => {
    const isIn = file === layer || file.startsWith(`${layer}/`);
    if (isIn && (found < 0 || layer.length > layers[found]!.length)) found = index;
  });
  return found;
}

/** One cycle for each file that closes one, found by a walk in depth. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    if (done.has(file)) return;
    const begin = path.indexOf(file);
    if (begin >= 0) return void cycles.push([...path.slice(begin), file]);
    path.push(file);
    for (const other of graph.get(file) ?? []) visit(other);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return cycles;
}
