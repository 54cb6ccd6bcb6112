/**
 * Private channels. Only one participant of another channel serves a private channel. Its file lies among
 * that participant's bells, and goes with them when the participant dies.
 *
 * @module
 */
import { OpenMode } from "./channel.ts";
import { ClientCore } from "./client_core.ts";
import type { HandleCore } from "./handle_core.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { ServerCore } from "./server_core.ts";

/** The end of a name whose participant has had private channels before. */
const number = /\.\d{1,9}$/;

/** A private channel, and the name by which the other participants find it. */
export interface PrivateChannel {
  readonly server: ServerCore;
  readonly name: string;
  /** Ends it for all its participants, and removes it. Calling it twice is fine. */
  remove(): void;
}

/**
 * Makes the private channel of `main`'s participant, which has one at a time: this removes an earlier one.
 *
 * @param number how many it has had before: their names differ, although their files have the same path
 * @throws {TandemError} `PERMISSION` when this participant has no folder of its own
 */
export function servePrivate(
  main: HandleCore,
  options: ChannelOptions,
  number: number = 0,
): PrivateChannel {
  // Its path, in case that the folder beside the channel has to be found again.
  const server = new ServerCore(main.openPrivate("server", main.path ?? "", options));
  const remove = () => {
    server.endChannel();
    server.close();
    main.forgetPrivate();
  };
  return { server, name: number === 0 ? server.path! : `${server.path}.${number}`, remove };
}

/**
 * Opens the private channel of another participant of `main`'s channel.
 *
 * @throws {TandemError} `CORRUPT` for an impossible name, and for a channel that another user has made
 * there; `NOT_FOUND` when that participant is gone
 */
export function connectPrivate(main: HandleCore, name: string): ClientCore {
  return new ClientCore(main.openPrivate("client", name.replace(number, ""), {}));
}

/**
 * As {@linkcode connectPrivate}, for a handle that posts: it has one descriptor. Its server is not told when it comes,
 * and nobody watches it, so what it leaves when it dies is repaired by the next `sweep` of another handle. If it waits
 * for an answer, it makes a bell, of two descriptors more, and looks for the dead every 25 ms meanwhile. It should not
 * outlive `main`, through which it finds whom it rings.
 */
export function connectPrivateQuietly(main: HandleCore, name: string): ClientCore {
  return new ClientCore(
    main.openPrivate("client", name.replace(number, ""), {}, OpenMode.quiet),
  );
}
