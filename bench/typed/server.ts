/**
 * Serves both channels. A raw request of twelve bytes contains the two numbers.
 *
 * @module
 */
import process from "node:process";
import { serve, Server } from "../../mod.ts";
import { listen, report } from "../lib/child.ts";
import type { Api } from "./api.ts";

const [raw = "", typed = "", around = ""] = process.argv.slice(2);

const api: Api = {
  add: (a, b) => a + b,
  async *pieces(bytes, total) {
    const piece = new Uint8Array(bytes).fill(1);
    for (let sent = 0; sent < total; sent += bytes) yield piece;
  },
};

const server = Server.open(raw);
void server.serve(({ bytes }) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const answer = new Uint8Array(12);
  new DataView(answer.buffer).setUint32(0, view.getUint32(0) + view.getUint32(4));
  return answer;
});
const service = serve(typed, api);
if (around) serve(around, api, { around: async (_, next) => await next() });
report(service.path);
listen(() => {});
