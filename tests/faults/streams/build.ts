/**
 * A copy of the sources in which nodes run in a simulated world: the channels, the timers and the reports are those of
 * `world.ts`, and the link to NATS is that of `network.ts`. All else is as it is, but for a mutant's change; and private fields are public, so that the explorer can
 * tell whether two states are the same.
 *
 * @module
 */
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname!, "../../..");
const world = join(import.meta.dirname!, "world.ts");
const timers = join(import.meta.dirname!, "timers.ts");
const network = join(import.meta.dirname!, "network.ts");

/** A deliberate fault. */
export interface Change {
  /** Beneath `src`. */
  readonly file: string;
  /** Stands there once. */
  readonly find: string;
  readonly replace: string;
}

/** What the modules of the copy export, by their paths beneath `src`. */
const simulated: Readonly<Record<string, string>> = {
  "runtime/timers.ts": `export * from ${JSON.stringify(timers)};`,
  "channel/boards.ts": `export * from ${
    JSON.stringify(world)
  }; export const boardBytesMax = 2 ** 24;`,
  "channel/client_core.ts": "export {};",
  "channel/private.ts": `export * from ${JSON.stringify(world)};`,
  "channel/rendezvous.ts": `export * from ${JSON.stringify(world)};`,
  "channel/roll.ts": `export * from ${JSON.stringify(world)};`,
  "channel/roster.ts": `export * from ${JSON.stringify(world)};`,
  "channel/server_core.ts": `export { Main as ServerCore } from ${JSON.stringify(world)};`,
  "nats/link.ts": `export * from ${JSON.stringify(network)};`,
  "errors.ts": `export * from ${JSON.stringify(join(root, "src/errors.ts"))};`,
};
/** Whose private fields become public. */
const opened = ["node/hall", "node/registry", "nats/nodes"];

/** Makes the copy, and returns its modules. */
export async function build(folder: string, change: Change | null): Promise<Sources> {
  const copy = join(folder, "src");
  cpSync(join(root, "src"), copy, { recursive: true });
  for (const [file, text] of Object.entries(simulated)) writeFileSync(join(copy, file), text);
  edit(join(copy, "base/guard.ts"), (text) => {
    const own = text.replace("export function report(", "function report_(").replace(
      "export function remark(",
      "function remark_(",
    );
    return `${own}\nexport { remark, report } from ${
      JSON.stringify(world)
    };\nvoid [report_, remark_];\n`;
  });
  const session = {
    file: "nats/nodes/far_link.ts",
    find: "= randomToken(8)",
    replace: "= sessionOfProcess()",
  };
  edit(join(copy, session.file), (text) => {
    const own = changed(text, session);
    return `${own}\nimport { sessionOfProcess } from ${
      JSON.stringify(network)
    };\nvoid randomToken;\n`;
  });
  if (change) edit(join(copy, change.file), (text) => changed(text, change));
  for (const each of opened) {
    for (const name of readdirSync(join(copy, each)).filter((name) => name.endsWith(".ts"))) {
      edit(join(copy, each, name), (text) => text.replaceAll(/#(?=[a-z]\w*)/gi, "_"));
    }
  }
  const [{ Hall }, { FarNodes }, { encodeBoard, readBoard }, { encodeValue, makeEntry }] =
    await Promise.all([
      import(join(copy, "node/hall/hall.ts")) as Promise<HallModule>,
      import(join(copy, "nats/nodes/far_nodes.ts")) as Promise<FarModule>,
      import(join(copy, "node/registry/board.ts")) as Promise<BoardModule>,
      import(join(copy, "node/registry/entry.ts")) as Promise<EntryModule>,
    ]);
  return { Hall, FarNodes, encodeBoard, readBoard, encodeValue, makeEntry };
}

type HallModule = typeof import("../../../src/node/hall/hall.ts");
type FarModule = typeof import("../../../src/nats/nodes/far_nodes.ts");
type BoardModule = typeof import("../../../src/node/registry/board.ts");
type EntryModule = typeof import("../../../src/node/registry/entry.ts");

/** What is driven. */
export type Sources =
  & Pick<HallModule, "Hall">
  & Pick<FarModule, "FarNodes">
  & Pick<BoardModule, "encodeBoard" | "readBoard">
  & Pick<EntryModule, "encodeValue" | "makeEntry">;

function edit(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, "utf8")));
}

function changed(text: string, { file, find, replace }: Change): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `${JSON.stringify(find)} stands ${parts.length - 1} times in ${file}, not once`,
    );
  }
  return parts.join(replace);
}
