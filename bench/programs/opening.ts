/**
 * Opens channels, attaches to them and reports the times. It loads the library before.
 *
 *     opening.ts PATH
 *
 * It appends numbers to the path.
 *
 * @module
 */
import process from "node:process";
import { report } from "../lib/child.ts";
import { Client, Server } from "../../mod.ts";

/** The milliseconds of each time, the first one in the process first. */
export interface Opened {
  readonly opens: readonly number[];
  readonly attaches: readonly number[];
}

const [path = ""] = process.argv.slice(2);
const opens: number[] = [];
const attaches: number[] = [];
Server.unlink(path); // no such channel exists, but the call loads the library
for (let turn = 0; turn < 20; turn++) {
  const target = `${path}.${turn}`;
  const begin = performance.now();
  const server = Server.create(target);
  const opened = performance.now();
  const client = Client.open(target);
  const attached = performance.now();
  opens.push(opened - begin);
  attaches.push(attached - opened);
  client.close();
  server.unlink();
  server.close();
}
report({ opens, attaches } satisfies Opened);
