/**
 * The integer channels of the library, blocking.
 *
 * @module
 */
import { IntClient, IntServer } from "../../mod.ts";
import { idleTimeout } from "./channel_blocking.ts";
import type { Contender } from "./contender.ts";

export const contender: Contender = {
  serve(address, ready) {
    using server = IntServer.open(address);
    ready(address);
    server.serveSync((request) => request.value, { idleTimeout });
  },
  connect(address) {
    const client = IntClient.open(address);
    let count = 0n;
    const call = (): void => {
      count += 1n;
      if (client.requestSync(count) !== count) throw new Error("Not an echo");
    };
    return { blocking: () => call };
  },
};
