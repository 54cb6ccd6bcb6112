/**
 * One of the services of a target, typed and raw. Its methods return its number.
 *
 * @module
 */
import process from "node:process";
import { serve, Server } from "../../mod.ts";
import { listen, report } from "../lib/child.ts";

const [typed = "", raw = "", number = "", concurrency = ""] = process.argv.slice(2);
const me = Number(number);
const options = concurrency === "" ? {} : { concurrency: Number(concurrency) };

const api = {
  /** Blocks the thread. */
  block: (ms: number): number => {
    const end = performance.now() + ms;
    while (performance.now() < end);
    return me;
  },
  wait: async (ms: number): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return me;
  },
  echo: (value: number): number => value,
  // deno-lint-ignore require-await -- a promise that is settled soon
  echoLater: async (value: number): Promise<number> => value,
};
export type Api = typeof api;

/** A raw request: the number of the method, and its argument. */
const methods = [api.block, api.wait, api.echo, api.echoLater];

const service = serve(typed, api, options);
const server = Server.open(raw);
void server.serve((request) => {
  const [method = 0, argument = 0] = request.copy();
  const result = methods[method]!(argument);
  if (typeof result === "number") return Uint8Array.of(result);
  return result.then((value) => Uint8Array.of(value));
}, options);
report("ready");
listen((message) => {
  if (message === "close") void Promise.all([service.close(), server[Symbol.asyncDispose]()]);
});
