/**
 * HTTP over TCP: `Bun.serve`, `Deno.serve` or `node:http`, and `fetch`, over connections that stay open.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import { thisRuntime } from "../lib/runtimes.ts";
import type { Contender } from "./contender.ts";

type Handler = (request: Request) => Promise<Response>;

interface BunGlobal {
  serve(options: { hostname: string; port: 0; fetch: Handler }): { port: number };
}

interface DenoGlobal {
  serve(
    options: { hostname: string; port: 0; onListen(address: { port: number }): void },
    handler: Handler,
  ): unknown;
}

const { Bun, Deno } = globalThis as unknown as { Bun: BunGlobal; Deno: DenoGlobal };
const hostname = "127.0.0.1";

function serveInNode(onListen: (address: { port: number }) => void): void {
  const server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      response.writeHead(200, { "content-length": body.byteLength }).end(body);
    });
  });
  server.listen(0, hostname, () => onListen(server.address() as { port: number }));
}

export const contender: Contender = {
  serve(_, ready) {
    const handler: Handler = async (request) => new Response(await request.arrayBuffer());
    const onListen = ({ port }: { port: number }) => ready(`http://${hostname}:${port}/`);
    if (thisRuntime === "bun") onListen(Bun.serve({ hostname, port: 0, fetch: handler }));
    else if (thisRuntime === "deno") Deno.serve({ hostname, port: 0, onListen }, handler);
    else serveInNode(onListen);
  },
  connect(url) {
    return {
      call: async (payload) => {
        const response = await fetch(url, { method: "POST", body: payload });
        return new Uint8Array(await response.arrayBuffer());
      },
    };
  },
};
