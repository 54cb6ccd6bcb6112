/**
 * Large payloads in place: the request is written into the channel's memory, read there by the
 * server, which writes its answer there as well, and the client reads that without a copy.
 *
 * @module
 */
import type { BlockingCall } from "../lib/calling.ts";
import { Client, Server } from "../../mod.ts";
import { idleTimeout } from "./channel_blocking.ts";
import type { Contender } from "./contender.ts";

/**
 * The forms: an echo in place; and, to compare with, what it cannot do without, one memcpy each way,
 * in the client's own memory.
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
