/**
 * Typed calls: a service with one method, which returns its argument.
 *
 * @module
 */
import { connect, serve } from "../../mod.ts";
import type { Contender } from "./contender.ts";

interface Api {
  echo(payload: Uint8Array<ArrayBuffer>): Uint8Array;
}

export const contender: Contender = {
  async serve(address, ready) {
    await using service = serve<Api>(address, { echo: (payload) => payload });
    ready(address);
    await service.finished;
  },
  connect(address) {
    const remote = connect<Api>(address);
    return { call: (payload) => remote.echo(payload) };
  },
};
