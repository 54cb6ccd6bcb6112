/**
 * Opens channels and attaches to them, and says how long that took; the library is loaded before.
 * Argument: a path that nobody uses, which gets numbers added.
 *
 * @module
 */
import process from "node:process";
import { report } from "../lib/child.ts";
import { Client, Server } from "../../mod.ts";

/** Milliseconds, of the first time in the process and of the following ones. */
export interface Opened {
  readonly opens: readonly number[];
  readonly attaches: readonly number[];
}

const [path = ""] = process.argv.slice(2);
const opens: number[] = [];
const attaches: number[] = [];
Server.unlink(path); // there is nothing, but asking needs the library
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
