/**
 * Request and reply through a NATS server on this machine. The address is that of the NATS server.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import { installed } from "./packages.ts";

interface Message {
  readonly data: Uint8Array;
  respond(data: Uint8Array): boolean;
}

interface NatsConnection {
  subscribe(subject: string, options: { callback(error: unknown, message: Message): void }): void;
  flush(): Promise<void>;
  request(subject: string, data: Uint8Array, options: { timeout: number }): Promise<Message>;
}

interface Nats {
  connect(options: { servers: string }): Promise<NatsConnection>;
}

export const contender: Contender = {
  async serve(address, ready) {
    const [servers = "", subject = ""] = address.split("#");
    const connection = await installed<Nats>("@nats-io/transport-node").connect({ servers });
    connection.subscribe(subject, { callback: (_, message) => void message.respond(message.data) });
    await connection.flush();
    ready(address);
  },
  async connect(address) {
    const [servers = "", subject = ""] = address.split("#");
    const connection = await installed<Nats>("@nats-io/transport-node").connect({ servers });
    const timeout = 60_000;
    return {
      call: async (payload) => (await connection.request(subject, payload, { timeout })).data,
    };
  },
};
