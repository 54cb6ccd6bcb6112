/**
 * One cache for all processes of the machine. It keeps the hundred entries that were used last.
 *
 * @module
 */
import { Server } from "@tandem/ipc";
import type { Command } from "./protocol.ts";

const entriesMax = 100;
/** A Map remembers the order of insertion: the first entry is the one not used for longest. */
const entries = new Map<string, unknown>();

const stop = new AbortController();
await using server = Server.open("example-cache-service");

// One request after another is handled to its end, so that an increment needs no lock.
await server.serve((request) => {
  const result = execute(request.json() as Command);
  return JSON.stringify(result ?? null);
}, { signal: stop.signal });

server.unlink();

function execute(command: Command): unknown {
  switch (command.op) {
    case "get": {
      const value = entries.get(command.key);
      return entries.has(command.key) ? store(command.key, value) : null;
    }
    case "set":
      return store(command.key, command.value);
    case "delete":
      return entries.delete(command.key);
    case "increment":
      return store(command.key, Number(entries.get(command.key) ?? 0) + 1);
    case "keys":
      return [...entries.keys()];
    case "quit":
      return stop.abort();
  }
}

function store(key: string, value: unknown): unknown {
  entries.delete(key);
  entries.set(key, value);
  if (entries.size > entriesMax) entries.delete(entries.keys().next().value!);
  return value;
}
