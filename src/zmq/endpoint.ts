/**
 * Addresses of sockets, as ZeroMQ writes them.
 *
 * @module
 */
import { describe } from "../base/checks.ts";

/** Where a door listens unless it is told otherwise: as its predecessor does, but for this machine only. */
export const defaultFrontend = "tcp://127.0.0.1:6660";

const tcp = /^tcp:\/\/(?:\[[0-9a-fA-F:.%\w]+\]|\*|[\w.-]+):(\d{1,5}|\*)$/;
const ipc = /^ipc:\/\/([^\0]+)$/;
/** The kernel takes no longer ones. */
const pathBytesMax = 107;

/**
 * Checks an address.
 *
 * @param name of the option or argument, for the message
 * @throws {TypeError} for anything but `tcp://HOST:PORT` and `ipc://PATH`
 */
export function checkEndpoint(endpoint: string, name: string): string {
  if (typeof endpoint === "string") {
    const port = tcp.exec(endpoint)?.[1];
    if (port !== undefined && (port === "*" || Number(port) <= 65_535)) return endpoint;
    const path = ipc.exec(endpoint)?.[1];
    if (path !== undefined && new TextEncoder().encode(path).byteLength <= pathBytesMax) {
      return endpoint;
    }
  }
  throw new TypeError(
    `Cannot use ${
      describe(endpoint)
    } as ${name}: give tcp://HOST:PORT, such as ${defaultFrontend}, or ipc://PATH`,
  );
}

/** Whether an address has a host that only IPv6 can reach. */
export function needsIpv6(endpoint: string): boolean {
  return endpoint.startsWith("tcp://[");
}
