/** A server and a client on one new channel; both close when the pair is disposed of. */
import {
  type ChannelOptions,
  Client,
  type IntChannelOptions,
  IntClient,
  IntServer,
  Server,
} from "../../mod.ts";
import { newTarget } from "./harness.ts";

export interface OpenPair<S, C> extends Disposable {
  readonly server: S;
  readonly client: C;
}

/** On a channel with a file in the test's folder. */
export function openPair(
  options: ChannelOptions = {},
): OpenPair<Server, Client> & { target: string } {
  const target = newTarget();
  return { target, ...pairOf(Server.create(target, options), Client.open(target)) };
}

/** On a channel without a name. */
export function openAnonymousPair(options: ChannelOptions = {}): OpenPair<Server, Client> {
  const server = Server.anonymous(options);
  return pairOf(server, Client.fromFd(server.fd));
}

/** On an integer channel without a name. */
export function openIntPair(options: IntChannelOptions = {}): OpenPair<IntServer, IntClient> {
  const server = IntServer.anonymous(options);
  return pairOf(server, IntClient.fromFd(server.fd));
}

function pairOf<S extends Disposable, C extends Disposable>(server: S, client: C): OpenPair<S, C> {
  return {
    server,
    client,
    [Symbol.dispose]() {
      client[Symbol.dispose]();
      server[Symbol.dispose]();
    },
  };
}
