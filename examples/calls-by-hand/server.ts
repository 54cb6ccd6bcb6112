/**
 * Calls the function that each request names, and answers with its result.
 *
 * @module
 */
import { Server } from "@tandem/ipc";
import type { Api } from "./api.ts";

const api: Api = {
  add: (a, b) => a + b,
  divide(a, b) {
    // The client's call throws this error, too.
    if (b === 0) throw new RangeError(`cannot divide ${a} by 0`);
    return a / b;
  },
  reverse: (text) => [...text].reverse().join(""),
  longest: (words) =>
    words.reduce<string | null>(
      (best, word) => word.length > (best ?? "").length ? word : best,
      null,
    ),
};

const stop = new AbortController();
await using server = Server.open("example-calls-by-hand");

await server.serve((request) => {
  const [name, ...args] = request.json() as [string, ...never[]];
  if (name === "quit") return stop.abort();
  // Another process chose the name. Without this check, "toString" would be a method.
  if (!Object.hasOwn(api, name)) throw new TypeError(`there is no method "${name}"`);
  const method = api[name as keyof Api] as (...args: never[]) => unknown;
  return JSON.stringify(method(...args));
}, { signal: stop.signal });

server.unlink();
