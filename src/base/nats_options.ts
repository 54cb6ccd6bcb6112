/**
 * Options for targets across machines.
 *
 * @module
 */

/**
 * How a `nats://` target is reached. All properties beside those below go to the NATS client as they are:
 * `user` and `pass`, `token`, `authenticator` (nkeys, JWT, credentials), `tls`, `inboxPrefix`, `name`, `timeout`
 * and others; see the documentation of `@nats-io/nats-core`. The package names the servers, pings them and reconnects by
 * itself, so the client's own options for that (`servers`, `port`, `pingInterval`, `maxPingOut`, `reconnect…`,
 * `maxReconnectAttempts`, `waitOnFirstConnect`) have no effect.
 *
 * @example
 * ```ts
 * import { connect, type NatsOptions } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const nats: NatsOptions = { prefix: "shop", user: "web", pass: "secret", tls: { caFile: "ca.pem" } };
 * // Nothing is connected before the first call.
 * using thumbs = connect<{ resize(): void }>("nats://nats.example:4222/thumbs", { nats });
 * assertEquals(String(thumbs), "[Remote nats://nats.example:4222/thumbs]");
 * ```
 */
export interface NatsOptions {
  /**
   * A connection of the NATS client that the program has made. The package uses it and never closes it. The
   * servers of the target and the options of the client are not used then.
   */
  connection?: object;
  /**
   * The first part of all subjects: services and clients with different prefixes do not meet.
   *
   * @default "tandem"
   */
  prefix?: string;
  /** For the NATS client. */
  [option: string]: unknown;
}
