/**
 * The demo's command line.
 *
 * @module
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** What was asked for. */
export interface Options {
  /** Every file below is sent. */
  readonly tree: string;
  /** Client processes, of the two runtimes in turn. */
  readonly clients: number;
  /** Files to send at most. */
  readonly limit: number;
  /** Whether a server is killed half-way. */
  readonly kill: boolean;
}

const help = `Usage: scripts/demo [options]

A Deno process and a Bun process serve one channel. Clients of both runtimes send them every file of
a tree; each answer is the file's SHA-256 and gzip size. The clients check every SHA-256, and the
size by compressing one file in fifty themselves. Half-way one server is killed with SIGKILL.

  --tree DIR     the files to send (default: this checkout, with its tools and node_modules)
  --clients N    client processes (default: 2)
  --limit N      send N files at most
  --no-kill      let both servers live
  --help         show this
`;

/** Reads the command line. Does not return when there is nothing more to do. */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        tree: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
        clients: { type: "string", default: "2" },
        limit: { type: "string", default: "Infinity" },
        "no-kill": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(help);
      process.exit();
    }
    const tree = resolve(values.tree);
    if (!statSync(tree).isDirectory()) throw new Error(`--tree ${tree}: not a directory`);
    return {
      tree,
      clients: count("clients", values.clients, 64),
      limit: values.limit === "Infinity" ? Infinity : count("limit", values.limit, Infinity),
      kill: !values["no-kill"],
    };
  } catch (error) {
    console.error(`demo: ${(error as Error).message} (--help shows the options)`);
    process.exit(2);
  }
}

function count(name: string, text: string, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  throw new Error(`--${name} must be a whole number above 0: current value is "${text}"`);
}
