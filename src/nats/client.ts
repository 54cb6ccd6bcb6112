/**
 * The NATS client as far as this package uses it, and how it is loaded: at the first `nats://` target, because
 * programs that need no network install no client.
 *
 * @module
 */
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
    return exportsOf(await import("@nats-io/transport-node"), "connect") as NatsClient;
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

/** What a module of CommonJS exports: bundles in several files have it as the default only. */
function exportsOf(module: unknown, name: string): unknown {
  const { default: whole } = module as { default?: object };
  return whole && !(name in Object(module)) ? whole : module;
}

/** A socket of `node:net` or `node:tls`. */
interface Socket {
  unref?(): void;
  destroy(): unknown;
  on(event: "error", listener: (error?: unknown) => void): unknown;
  once(event: "connect" | "secureConnect" | "close", listener: () => void): unknown;
  removeAllListeners(...events: readonly unknown[]): unknown;
}

/** Makes the socket of one connection. */
type Transport = Record<string, unknown>;

/** The parts of the client that it has for other packages of NATS. */
interface Inside {
  setTransportFactory?(config: { factory(): Transport; dnsResolveFn?: unknown }): void;
  getResolveFn?(): unknown;
}

/** The client hands its options to its transports. Under this name they find the signal that ends an attempt to connect. */
const signalOption = "tandemSignal";

/**
 * Connects, with sockets that do not keep the process alive: calls and services do that themselves, as long as
 * they are pending.
 *
 * The client removes all listeners of a socket before it closes it. In Deno, a socket may report an error
 * even then, and an error without a listener ends the process: a refused login did.
 *
 * It also forgets the socket of an attempt that fails. To a host that does not answer, such a socket would try on for
 * two minutes, and the process would live as long.
 *
 * @param signal ends the attempt
 */
export async function connectClient(
  client: NatsClient,
  options: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<ClientConnection> {
  const Plain = await loadTransport();
  // The client sets its own factory at once and uses it later, so the one set below makes the transport. It stays for all
  // connections of the process.
  const connecting = client.connect({ ...options, [signalOption]: signal });
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
    const { NodeTransport } = exportsOf(module, "NodeTransport") as {
      NodeTransport?: new () => Transport;
    };
    return NodeTransport ?? null;
  } catch {
    return null;
  }
}

/** The parts of the client's transport that this module uses or replaces. */
interface Replaced {
  readonly socket: Socket | undefined;
  readonly tlsName: string;
  readonly options: { readonly tls?: object | null };
  connect(host: Host, options: Readonly<Record<string, unknown>>): Promise<void>;
  dial(host: Host): Promise<Socket>;
  tlsFirst(host: Host): Promise<Socket>;
  startTLS(): Promise<Socket>;
  close(error?: unknown): Promise<void>;
  loadClientCerts(): Promise<object | undefined>;
}

const neededMethods = [
  "connect",
  "dial",
  "tlsFirst",
  "startTLS",
  "close",
  "loadClientCerts",
] as const;

interface Host {
  readonly hostname: string;
  readonly port: number;
}

/** A transport that watches its sockets, unless it belongs to a connection that the program has made itself. */
function watchedTransport(plain: Transport): Transport {
  if (neededMethods.some((name) => typeof plain[name] !== "function")) return plain;
  const transport = plain as unknown as Replaced;
  const connect = transport.connect.bind(transport);
  transport.connect = async (host, options) => {
    const signal = options[signalOption] as AbortSignal | undefined;
    if (!signal) return await connect(host, options);
    // The client may have other servers to try.
    signal.throwIfAborted();
    const connected = watchSockets(transport, signal);
    await connect(host, options);
    connected();
  };
  return plain;
}

/**
 * Makes a transport know its sockets from their beginning, and end them with the attempt.
 *
 * @returns to be called when it is connected
 */
function watchSockets(transport: Replaced, signal: AbortSignal): () => void {
  const close = transport.close.bind(transport);
  const sockets: Socket[] = [];
  let isConnected = false;
  let isOver = false;
  const giveUp = () => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  };
  signal.addEventListener("abort", giveUp);
  const open = (socket: unknown, event: "connect" | "secureConnect"): Promise<Socket> => {
    const owned = watched(socket as Socket);
    sockets.push(owned);
    if (isOver) owned.destroy();
    return opened(owned, event);
  };
  const secure = async (socket: Socket | undefined): Promise<Socket> => {
    const { tlsName, options: { tls } } = transport;
    const files = tls ? await transport.loadClientCerts() : undefined;
    const { connect } = await import("node:tls");
    const options = { socket, servername: tlsName, rejectUnauthorized: true, ...tls, ...files };
    return await open(connect(options as ConnectionOptions), "secureConnect");
  };
  transport.dial = async ({ hostname, port }) => {
    const { createConnection } = await import("node:net");
    return await open(createConnection(port, hostname).setNoDelay(true), "connect");
  };
  transport.tlsFirst = async (host) => await secure(await transport.dial(host));
  transport.startTLS = () => secure(transport.socket);
  transport.close = async (error) => {
    // The client would leave it open.
    if (!isConnected) giveUp();
    await close(error);
  };
  return () => void (isConnected = true);
}

/**
 * Waits for a socket. It has a listener for errors at any time: a server that refuses a certificate says so after the
 * handshake.
 */
function opened(socket: Socket, event: "connect" | "secureConnect"): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let failure: unknown;
    socket.on("error", (error) => void (failure = error));
    socket.once("close", () => reject(failure));
    socket.once(event, () => resolve(socket));
  });
}

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
