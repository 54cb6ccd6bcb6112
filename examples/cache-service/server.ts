/**
 * A cache for all processes of the machine. It keeps the hundred most recently used entries.
 *
 * @module
 */
import { Server } from "@tandem/ipc";
import type { Command } from "./protocol.ts";

const entriesMax = 100;
/** A Map keeps the order of insertion: the first entry is the least recently used. */
const entries = new Map<string, unknown>();

const stop = new AbortController();
await using server = Server.open("example-cache-service");

// The server finishes one request before the next, so that an increment needs no lock.
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
