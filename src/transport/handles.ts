/**
 * Handles on channels as targets: typed calls over a channel that the program has opened itself, such as an
 * anonymous one.
 *
 * The service or the connection takes the handle over, and closes it when it ends.
 *
 * @module
 */
import type { ChannelOptions } from "../base/channel_options.ts";
import { describe } from "../base/checks.ts";
import { Client } from "../channel/client.ts";
import { checkOpen } from "../channel/channel.ts";
import { ClientCore } from "../channel/client_core.ts";
import { type ChannelHandle, coreOf } from "../channel/handle.ts";
import type { HandleCore } from "../channel/handle_core.ts";
import { Server } from "../channel/server.ts";
import { ServerCore } from "../channel/server_core.ts";
import { TandemError } from "../errors.ts";
import { anonymousName, ChannelReceiver, ChannelRequester } from "./shared_memory.ts";
import type { Receiver, Requester, Transport } from "./transport.ts";

/** The handles that services and connections have taken over. */
const taken: WeakSet<HandleCore> = new WeakSet();

/** The name of a handle's channel in messages. */
export function handleName({ path }: ChannelHandle): string {
  return path ?? anonymousName;
}

/**
 * The transport that reaches only the channel of `handle`.
 *
 * @throws {TandemError} `MISMATCH` for a channel of integers
 * @throws {TypeError} for the wrong side of a channel, and for a handle that is in use
 */
export function handleTransport(handle: ChannelHandle, tried: "serve" | "connect to"): Transport {
  const core = coreOf(handle);
  if (!(handle instanceof Server) && !(handle instanceof Client)) {
    throw new TandemError(
      "MISMATCH",
      `Cannot ${tried} ${describe(handle)}: its channel carries integers, typed calls are bytes; ` +
        "give a Server or a Client",
    );
  }
  if (tried === "serve" && !(core instanceof ServerCore)) {
    throw new TypeError("Cannot serve a Client: give a Server, such as Server.fromFd(client.fd)");
  }
  if (tried === "connect to" && !(core instanceof ClientCore)) {
    throw new TypeError(
      "Cannot connect to a Server: give a Client, such as Client.fromFd(server.fd)",
    );
  }
  if (taken.has(core)) {
    throw new TypeError(
      `Cannot ${tried} this handle: another service or connection has taken it over; ` +
        "open another handle on the channel with fromFd(handle.fd)",
    );
  }
  if (tried === "connect to") taken.add(core);
  return new HandleTransport(core);
}

class HandleTransport implements Transport {
  readonly #core: HandleCore;

  constructor(core: HandleCore) {
    this.#core = core;
  }

  serve(_: string, options: ChannelOptions): Receiver {
    const server = this.#core as ServerCore;
    checkOpen(server.channel, "server");
    checkSizes(server, options);
    taken.add(server);
    return new ChannelReceiver(server);
  }

  open(): Requester {
    const client = this.#core as ClientCore;
    checkOpen(client.channel, "client");
    return new ChannelRequester(client);
  }

  /** Called after the channel of the handle was removed. No other channel can take its place. */
  connect(): Promise<Requester> {
    return Promise.reject(
      new TandemError(
        "NOT_FOUND",
        "Cannot call a method: the channel of the client that was given to connect() was removed; " +
          "open another client, and connect again",
      ),
    );
  }

  release(): void {
    (this.#core as ClientCore).close();
  }
}

const sizes = ["slots", "maxRequestBytes", "maxResponseBytes", "maxDeliveries"] as const;

function checkSizes(server: ServerCore, options: ChannelOptions): void {
  for (const size of sizes) {
    const [wanted, found] = [options[size], server[size]];
    if (wanted === undefined || wanted === found) continue;
    throw new TandemError(
      "MISMATCH",
      `Cannot serve with ${size} ${wanted}: the channel of the given server has ${found}; ` +
        `leave ${size} out, or give it when you open the server`,
    );
  }
}
