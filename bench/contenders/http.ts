/**
 * HTTP over TCP: `Bun.serve` or `Deno.serve`, and `fetch`, over connections that stay open.
 *
 * @module
 */
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

export const contender: Contender = {
  serve(_, ready) {
    const handler: Handler = async (request) => new Response(await request.arrayBuffer());
    const onListen = ({ port }: { port: number }) => ready(`http://${hostname}:${port}/`);
    if (thisRuntime === "bun") onListen(Bun.serve({ hostname, port: 0, fetch: handler }));
    else Deno.serve({ hostname, port: 0, onListen }, handler);
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
