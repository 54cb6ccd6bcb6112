/**
 * HTTP over TCP: `Bun.serve`, `Deno.serve` or `node:http`, and `fetch`, over connections that stay open.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
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

/** Sends the body of a request back. */
export const echo: Handler = async (request) => new Response(await request.arrayBuffer());

/** As {@linkcode echo}, for `node:http`. */
export function answerInNode(request: IncomingMessage, response: ServerResponse): void {
  bodyOf(request, (body) => {
    response.writeHead(200, { "content-length": body.byteLength }).end(body);
  });
}

/** Collects the body of a message of `node:http`. */
export function bodyOf(message: IncomingMessage, receive: (body: Uint8Array) => void): void {
  const chunks: Uint8Array[] = [];
  message.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  message.on("end", () => receive(Buffer.concat(chunks)));
}

function serveInNode(onListen: (address: { port: number }) => void): void {
  const server = createServer(answerInNode);
  server.listen(0, hostname, () => onListen(server.address() as { port: number }));
}

export const contender: Contender = {
  serve(_, ready) {
    const onListen = ({ port }: { port: number }) => ready(`http://${hostname}:${port}/`);
    if (thisRuntime === "bun") onListen(Bun.serve({ hostname, port: 0, fetch: echo }));
    else if (thisRuntime === "deno") Deno.serve({ hostname, port: 0, onListen }, echo);
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
