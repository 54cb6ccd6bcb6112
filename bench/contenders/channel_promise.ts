/**
 * The promise forms of the library.
 *
 * @module
 */
import { Client, Server } from "../../mod.ts";
import type { Contender } from "./contender.ts";

export const contender: Contender = {
  async serve(address, ready) {
    await using server = Server.open(address);
    const serving = server.serve((request) => request.bytes);
    ready(address);
    await serving;
  },
  connect(address) {
    const client = Client.open(address);
    return { call: (payload) => client.request(payload) };
  },
};
