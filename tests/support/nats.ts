/**
 * The NATS server that the conformance suite shares, and what of the suite does not hold across machines.
 *
 * @module
 */
import { linksClosed } from "../../src/nats/link.ts";
import { lentGrace } from "../../src/rpc/lent_terms.ts";
import {
  type ClientConnection,
  type ClientHeaders,
  type ClientMessage,
  loadClient,
  type NatsClient,
} from "../../src/nats/client.ts";
import type { Bytes } from "../../src/transport/transport.ts";
import { afterEnd, atEnd, isBare, runtime, sleep } from "./harness.ts";
import { hasNatsServer, startNatsServer, withJetStream } from "./nats_server.ts";

/** Whether the suite runs over NATS here. */
export const hasNats: boolean = !isBare && hasNatsServer();

// Outside of all tests, because it lives as long as this process.
const server = hasNats ? await startNatsServer(withJetStream) : null;

/** Where the shared server is. */
export function natsAddress(): string {
  return server!.address;
}

/** The bare NATS client, which is closed when the test ends. */
export class RawConnection {
  readonly connection: ClientConnection;
  readonly #client: NatsClient;

  constructor(connection: ClientConnection, client: NatsClient) {
    this.connection = connection;
    this.#client = client;
  }

  newHeaders(fields: Readonly<Record<string, string>>): ClientHeaders {
    const headers = this.#client.headers();
    for (const [name, value] of Object.entries(fields)) headers.set(name, value);
    return headers;
  }

  inbox(): string {
    return this.#client.createInbox();
  }

  request(
    subject: string,
    data: Uint8Array,
    options: { timeout: number; headers?: ClientHeaders },
  ): Promise<ClientMessage> {
    const { connection } = this as unknown as { connection: { request: RawConnection["request"] } };
    return connection.request(subject, data, options);
  }

  /** What JetStream says, as `STREAM.INFO.name`. */
  async ask<T>(subject: string, question: object = {}, timeout = 30_000): Promise<T> {
    const data = new TextEncoder().encode(JSON.stringify(question));
    const answer = await this.request(`$JS.API.${subject}`, data, { timeout });
    return JSON.parse(new TextDecoder().decode(answer.data)) as T;
  }

  publish(subject: string, data: Uint8Array, reply?: string): void {
    this.connection.publish(subject, data, reply === undefined ? {} : { reply });
  }

  subscribe(subject: string, take: (subject: string, data: Bytes) => void): void {
    this.connection.subscribe(subject, {
      callback: (_, message) => take(message.subject, new Uint8Array(message.data)),
    });
  }

  flush(): Promise<void> {
    return this.connection.flush();
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}

/** A connection of the bare client to the shared server, or to another one. */
export async function rawConnection(address: string = natsAddress()): Promise<RawConnection> {
  const client = await loadClient();
  const connection = await client.connect({ servers: address });
  atEnd(() => connection.close());
  return new RawConnection(connection, client);
}

let targets = 0;

/**
 * Values that were lent end a little later than their calls, by timers that Deno would report. A cancel takes a
 * while on its way, so they may have begun when the test ends.
 */
async function lentValuesEnded(): Promise<void> {
  await linksClosed();
  if (runtime === "deno") await sleep(1.2 * lentGrace);
}

/** A target of the shared server that does not exist yet. */
export function newNatsTarget(): string {
  targets += 1;
  afterEnd(lentValuesEnded);
  return `nats://${server!.address}/test-${targets}`;
}
