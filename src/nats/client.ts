/**
 * The NATS client as far as this package uses it, and how it is loaded: at the first `nats://` target, because
 * programs that need no network install no client.
 *
 * @module
 */
import { TandemError } from "../errors.ts";

/** A message that has arrived. */
export interface ClientMessage {
  readonly subject: string;
  readonly reply?: string;
  readonly data: Uint8Array;
  readonly headers?: ClientHeaders;
}

export interface ClientHeaders {
  readonly code: number;
  get(name: string): string;
  set(name: string, value: string): void;
}

export interface ClientSubscription {
  unsubscribe(): void;
  /** Leaves; what is on the way still arrives. */
  drain(): Promise<void>;
}

/** Something has happened to a connection. */
export interface ClientStatus {
  readonly type: string;
  readonly error?: Error;
}

export interface ClientInfo {
  readonly max_payload: number;
  readonly connect_urls?: readonly string[];
}

export interface ClientConnection {
  readonly info?: ClientInfo;
  publish(
    subject: string,
    data?: Uint8Array,
    options?: { reply?: string; headers?: ClientHeaders },
  ): void;
  subscribe(
    subject: string,
    options: {
      queue?: string;
      callback(error: Error | null, message: ClientMessage): void;
    },
  ): ClientSubscription;
  flush(): Promise<void>;
  close(): Promise<void>;
  /** Resolves when it is closed, for whatever reason. */
  closed(): Promise<Error | void>;
  isClosed(): boolean;
  status(): AsyncIterable<ClientStatus>;
}

export interface NatsClient {
  connect(options: Readonly<Record<string, unknown>>): Promise<ClientConnection>;
  headers(): ClientHeaders;
  createInbox(prefix?: string): string;
}

let loading: Promise<NatsClient> | null = null;

/** @throws {TandemError} `UNSUPPORTED` where the client is not installed */
export function loadClient(): Promise<NatsClient> {
  return loading ??= load();
}

async function load(): Promise<NatsClient> {
  try {
    const client: unknown = await import("@nats-io/transport-node");
    return client as NatsClient;
  } catch (error) {
    loading = null;
    throw new TandemError(
      "UNSUPPORTED",
      "Cannot use a nats:// target: the NATS client cannot be loaded; install @nats-io/transport-node and " +
        "@nats-io/nats-core, version 3.4",
      { cause: error },
    );
  }
}

/** The parts of a connection that keep the process alive. They are no part of its interface. */
interface Inside {
  readonly protocol?: {
    readonly transport?: { readonly socket?: { unref?(): void } };
    readonly heartbeats?: { readonly timer?: unknown };
  };
}

/**
 * What of a connection keeps the process alive: calls and services do that themselves, as long as they are
 * pending.
 */
export function refsOf(
  connection: ClientConnection,
): { socket: { unref?(): void } | undefined; timer: unknown } {
  const { protocol } = connection as unknown as Inside;
  return { socket: protocol?.transport?.socket, timer: protocol?.heartbeats?.timer };
}
