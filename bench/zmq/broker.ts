/**
 * The broker of the ZeroMQ guide: a ROUTER for clients and a DEALER for workers, with libzmq's own proxy between them,
 * in a thread of native code.
 *
 * @module
 */
import { Dealer, Proxy, Router } from "zeromq";
import { listen, report } from "../lib/child.ts";
import { anyPort } from "./endpoint.ts";

/** Where a broker listens. */
export interface BrokerAddresses {
  readonly clients: string;
  readonly workers: string;
}

const proxy = new Proxy(new Router(), new Dealer());
await proxy.frontEnd.bind(anyPort);
await proxy.backEnd.bind(anyPort);
report(
  {
    clients: proxy.frontEnd.lastEndpoint!,
    workers: proxy.backEnd.lastEndpoint!,
  } satisfies BrokerAddresses,
);
listen(() => {});
await proxy.run();
