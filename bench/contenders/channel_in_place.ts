/**
 * Large payloads in place. The client writes the request into the memory of the channel, the server reads
 * it there and writes its answer there, and the client reads the answer without a copy.
 *
 * @module
 */
import type { BlockingCall } from "../lib/calling.ts";
import { Client, Server } from "../../mod.ts";
import { idleTimeout } from "./channel_blocking.ts";
import type { Contender } from "./contender.ts";

/**
 * `in place` is the echo. `memcpy` is its reference: the two copies that it cannot avoid, in the memory of
 * the client.
 */
export const contender: Contender = {
  serve(address, ready) {
    using server = Server.open(address);
    ready(address);
    server.serveSync((request) => {
      const answer = request.allocate(request.bytes.byteLength);
      answer.set(request.bytes);
      return answer;
    }, { idleTimeout });
  },
  connect(address) {
    const client = Client.open(address);
    return { blocking: (form, bytes) => form === "memcpy" ? copies(bytes) : echo(client, bytes) };
  },
};

function echo(client: Client, bytes: number): BlockingCall {
  const source = new Uint8Array(bytes);
  let count = 0;
  return () => {
    source[0] = source[bytes - 1] = ++count;
    const draft = client.allocate(bytes);
    draft.bytes.set(source);
    using call = draft.send();
    call.readySync();
    const view = call.view();
    if (
      view?.byteLength !== bytes || view[0] !== source[0] || view[bytes - 1] !== source[bytes - 1]
    ) {
      throw new Error("Not an echo");
    }
  };
}

function copies(bytes: number): BlockingCall {
  const source = new Uint8Array(bytes);
  const there = new Uint8Array(bytes);
  const back = new Uint8Array(bytes);
  let count = 0;
  return () => {
    source[0] = ++count;
    there.set(source);
    back.set(there);
    if (back[0] !== source[0]) throw new Error("Not a copy");
  };
}
