/**
 * Serves requests that were passed on, and reads everything that their notes say.
 *
 *     noted.ts TARGET service|server
 *
 * It writes `ready`. The line `stop` ends it.
 *
 * @module
 */
import process from "node:process";
import { callContext, serve, Server } from "../../../mod.ts";
import { args, greet, onLine, say } from "../../fixtures/lib.ts";

const [target, form] = args as [string, string];

function readPeer({ address, key }: { address?: string; key?: string }): number {
  return `${address}${key}`.length;
}

const api = {
  echo(payload: Uint8Array): Uint8Array {
    readPeer(callContext()!.peer);
    return payload;
  },
  fail(): never {
    throw new Error("it fails on purpose");
  },
};

greet();
const close = form === "service" ? openService() : openServer();
say("ready");
onLine(async () => {
  await close();
  say("stopped");
  process.exit();
});

function openService(): () => Promise<void> {
  const service = serve(target, api);
  return async () => {
    service.unlink();
    await service.close();
  };
}

function openServer(): () => Promise<void> {
  const server = Server.create(target);
  const serving = server.serve((request) => {
    readPeer(request.peer);
    return request.bytes;
  });
  return async () => {
    server.unlink();
    await server.close();
    await serving.catch(() => {});
  };
}
