/**
 * The library's promise forms, each answer written into an array that its loop keeps.
 *
 * @module
 */
import { Client } from "../../mod.ts";
import { contender as fresh } from "./channel_promise.ts";
import type { Contender } from "./contender.ts";

export const contender: Contender = {
  ...fresh,
  connect(address) {
    const client = Client.open(address);
    // Every loop fills its payload with a number of its own.
    const options: { into: Uint8Array<ArrayBuffer> }[] = [];
    return {
      call: (payload) => {
        const known = options[payload[0]!];
        if (known?.into.byteLength === payload.byteLength) return client.request(payload, known);
        const made = { into: new Uint8Array(payload.byteLength) };
        options[payload[0]!] = made;
        return client.request(payload, made);
      },
    };
  },
};
