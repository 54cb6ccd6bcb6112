/**
 * The NATS client as far as this package uses it, and how it is loaded: at the first `nats://` target, because
 * programs that need no network install no client.
 *
 * @module
 */
import { createConnection } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { TandemError } from "../errors.ts";
import { unrefTimer } from "../runtime/timers.ts";

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
  readonly version: string;
  readonly jetstream?: boolean;
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

interface Socket {
  unref?(): void;
  on(event: "error", listener: () => void): void;
  removeAllListeners(...events: readonly unknown[]): unknown;
  destroy(): unknown;
}

/** The client's own way to a server, with the parts that this package replaces. */
interface Transport {
  socket: unknown;
  readonly tlsName: string;
  readonly options: { readonly tls?: object | null };
  /** The server has said who it is. */
  readonly connected: boolean;
  dial?(place: Place): Promise<Socket>;
  startTLS?(): Promise<Socket>;
  tlsFirst?(place: Place): Promise<Socket>;
  loadClientCerts?(): Promise<object | undefined>;
  close?(error?: Error): Promise<void>;
}

interface Place {
  readonly hostname: string;
  readonly port: number;
}

/** The parts of the client that it has for other packages of NATS. */
interface Inside {
  setTransportFactory?(config: { factory(): Transport; dnsResolveFn?: unknown }): void;
  getResolveFn?(): unknown;
}

/**
 * Connects, with sockets that do not keep the process alive: calls and services do that themselves, as long as
 * they are pending.
 *
 * The client removes all listeners of a socket before it closes it. In Deno, a socket may report an error
 * even then, and an error without a listener ends the process: a refused login did.
 */
export async function connectClient(
  client: NatsClient,
  options: Readonly<Record<string, unknown>>,
): Promise<ClientConnection> {
  const Plain = await loadTransport();
  // It sets its factory at once, and uses it later.
  const connecting = client.connect(options);
  const inside = client as Inside;
  if (Plain) {
    const factory = (): Transport => watchedTransport(new Plain());
    inside.setTransportFactory?.({ factory, dnsResolveFn: inside.getResolveFn?.() });
  }
  return await connecting;
}

/** The class that makes sockets; null: the client has none where it is expected. */
async function loadTransport(): Promise<(new () => Transport) | null> {
  try {
    const module: unknown = await import("@nats-io/transport-node/lib/node_transport.js");
    const { NodeTransport } = module as { NodeTransport?: new () => Transport };
    return NodeTransport ?? null;
  } catch {
    return null;
  }
}

function watchedTransport(transport: Transport): Transport {
  const { dial, tlsFirst, close, loadClientCerts } = transport;
  let last: Socket | null = null;
  const noted = (socket: Socket): Socket => last = watched(socket);
  if (dial) transport.dial = (place) => connectSocket(place, noted);
  if (loadClientCerts) transport.startTLS = () => startTls(transport);
  if (tlsFirst && loadClientCerts) {
    transport.tlsFirst = async (place) => {
      transport.socket = await connectSocket(place, noted);
      return await startTls(transport);
    };
  }
  if (close) {
    transport.close = (error) => {
      // The client leaves the socket alone when an attempt takes too long. Where packets vanish, it would go on for
      // minutes, and connect when they come through again.
      if (!transport.connected) last?.destroy();
      return close.call(transport, error);
    };
  }
  return transport;
}

/** As the client's own, but the socket is known while it connects. */
function connectSocket(
  { hostname, port }: Place,
  noted: (socket: Socket) => Socket,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, hostname, () => resolve(socket as unknown as Socket));
    noted(socket as unknown as Socket);
    let failure: unknown;
    socket.on("error", (error: unknown) => void (failure = error));
    socket.once("close", () => reject(failure));
    socket.setNoDelay(true);
  });
}

/**
 * As the client's own, but the socket has a listener for errors at any time: a server that refuses a certificate says so
 * after the handshake.
 */
async function startTls(transport: Transport): Promise<Socket> {
  const { socket, tlsName, options: { tls } } = transport;
  const files = tls ? await transport.loadClientCerts!() : undefined;
  const { connect } = await import("node:tls");
  const options = { socket, servername: tlsName, rejectUnauthorized: true, ...tls, ...files };
  return await new Promise((resolve, reject) => {
    const secured = connect(options as ConnectionOptions, () => {
      resolve(watched(secured as unknown as Socket));
    });
    let failure: unknown;
    secured.on("error", (error: unknown) => void (failure = error));
    secured.once("close", () => reject(failure));
  });
}

/** The socket has a listener for errors at any time, and does not keep the process alive. */
function watched(socket: Socket): Socket {
  socket.unref?.();
  const remove = socket.removeAllListeners.bind(socket);
  socket.removeAllListeners = (...events) => {
    const result = remove(...events);
    socket.on("error", () => {});
    return result;
  };
  return socket;
}

/** Lets the process end although the client's timer for pings is pending. */
export function unrefPings(connection: ClientConnection): void {
  const { protocol } = connection as { protocol?: { heartbeats?: { timer?: unknown } } };
  unrefTimer(protocol?.heartbeats?.timer);
}
