/**
 * The command line of the demo.
 *
 * @module
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** The options of the command line. */
export interface Options {
  /** The folder whose files the clients send. */
  readonly tree: string;
  /** The number of client processes, in the three runtimes in turn. */
  readonly clients: number;
  /** The most files to send. */
  readonly limit: number;
  /** Whether the demo kills a server halfway. */
  readonly kill: boolean;
}

const help = `Usage: scripts/demo [options]

A Deno process, a Bun process and a Node process serve one channel. Clients in all three runtimes send
them every file of a tree. Each answer is the SHA-256 and the gzip size of the file. The clients check
every SHA-256, and compress one file in fifty to check its size. Halfway the demo kills one server with
SIGKILL.

  --tree DIR     sends the files in DIR (default: this checkout with its tools and node_modules)
  --clients N    starts N client processes (default: 3)
  --limit N      sends N files at most
  --no-kill      kills no server
  --help         shows this text
`;

/** Reads the command line. Ends the process after `--help` and after errors. */
export function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        tree: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
        clients: { type: "string", default: "3" },
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
  throw new Error(`--${name} must be a whole number above 0, but is "${text}"`);
}
