/**
 * HTTP over a Unix socket: `Bun.serve`, `Deno.serve` or `node:http`, and `fetch` or `node:http`, over
 * connections that stay open.
 *
 * @module
 */
import { Agent, createServer, request } from "node:http";
import { thisRuntime } from "../lib/runtimes.ts";
import type { PromiseCall } from "../lib/calling.ts";
import type { Contender } from "./contender.ts";
import { answerInNode, bodyOf, echo } from "./http.ts";

interface BunGlobal {
  serve(options: { unix: string; fetch: typeof echo }): unknown;
}

interface DenoGlobal {
  serve(options: { path: string; onListen(): void }, handler: typeof echo): unknown;
  createHttpClient(options: { proxy: { transport: "unix"; path: string } }): unknown;
}

const { Bun, Deno } = globalThis as unknown as { Bun: BunGlobal; Deno: DenoGlobal };
/** The path of the socket takes the place of the host. */
const url = "http://localhost/";

export const contender: Contender = {
  serve(path, ready) {
    const onListen = (): void => ready(path);
    if (thisRuntime === "bun") {
      Bun.serve({ unix: path, fetch: echo });
      onListen();
    } else if (thisRuntime === "deno") {
      Deno.serve({ path, onListen }, echo);
    } else {
      createServer(answerInNode).listen(path, onListen);
    }
  },
  connect: (path) => ({ call: thisRuntime === "node" ? callInNode(path) : callByFetch(path) }),
};

function callByFetch(path: string): PromiseCall {
  const where = thisRuntime === "bun"
    ? { unix: path }
    : { client: Deno.createHttpClient({ proxy: { transport: "unix", path } }) };
  return async (payload) => {
    const response = await fetch(url, { method: "POST", body: payload, ...where });
    return new Uint8Array(await response.arrayBuffer());
  };
}

/** `fetch` of Node knows no Unix sockets. */
function callInNode(socketPath: string): PromiseCall {
  const agent = new Agent({ keepAlive: true });
  return (payload) =>
    new Promise((resolve, reject) => {
      const headers = { "content-length": payload.byteLength };
      const sent = request({ socketPath, agent, method: "POST", headers }, (response) => {
        bodyOf(response, resolve);
      });
      sent.on("error", reject);
      sent.end(payload);
    });
}
