/**
 * The blocking forms of the library.
 *
 * @module
 */
import type { BlockingCall } from "../lib/calling.ts";
import { Client, Server } from "../../mod.ts";
import type { Contender } from "./contender.ts";

/** A blocked thread does not notice that the parent is gone. Pauses between slices are far shorter. */
export const idleTimeout = 60_000;

/** `into` writes the answers into one array; `fresh` makes an array for each answer. */
export const contender: Contender = {
  serve(address, ready) {
    using server = Server.open(address);
    ready(address);
    server.serveSync((request) => request.bytes, { idleTimeout });
  },
  connect(address) {
    const client = Client.open(address);
    return { blocking: (form, bytes) => callOf(client, form, bytes) };
  },
};

function callOf(client: Client, form: string, bytes: number): BlockingCall {
  const payload = new Uint8Array(bytes);
  const into = new Uint8Array(bytes);
  let count = 0;
  const check = (answer: Uint8Array): void => {
    if (answer.byteLength !== bytes || answer[0] !== payload[0]) throw new Error("Not an echo");
  };
  switch (form) {
    case "into":
      return () => {
        payload[0] = ++count;
        check(client.requestSync(payload, { into }));
      };
    case "fresh":
      return () => {
        payload[0] = ++count;
        check(client.requestSync(payload));
      };
    default:
      throw new Error(`There is no form "${form}"`);
  }
}
