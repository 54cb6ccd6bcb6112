/**
 * Takes a request and keeps it. Answers a request that another server had before.
 *
 * @module
 */
import process from "node:process";
import { Server, type ServerRequest } from "../../mod.ts";
import { listen, report } from "../lib/child.ts";
import type { Form, Holding } from "./messages.ts";

const [target = "", form] = process.argv.slice(2) as [string, Form];
const server = Server.open(target);
report("ready");

if (form === "blocking") {
  // A blocked thread does not notice that the parent is gone. Without a timeout it could wait for ever,
  // because the other server may take all requests.
  const parent = process.ppid;
  const timeout = 10_000;
  while (process.ppid === parent) {
    const request = server.receiveSync({ timeout });
    if (request) take(request);
  }
} else {
  listen(() => {});
  for await (const request of server) take(request);
}

function take(request: ServerRequest): void {
  if (request.deliveries > 1) request.reply(request.bytes);
  else report({ holder: process.pid } satisfies Holding);
}
