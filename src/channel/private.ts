/**
 * Private channels: a channel that one participant of another channel serves alone. It lies among that
 * participant's doorbells, and goes with them when the participant dies.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { Client } from "./client.ts";
import type { ChannelHandle } from "./handle.ts";
import type { ChannelOptions } from "./options.ts";
import { Server } from "./server.ts";

/** What other participants may call a private channel: it becomes part of a path. */
const privateName = /^(p\d{1,4}-[0-9a-f]{1,16}-[0-9a-f]{1,16})(?:\.\d{1,9})?$/;

/** A private channel, and the name by which the other participants find it. */
export interface PrivateChannel {
  readonly server: Server;
  readonly name: string;
}

/**
 * Makes the private channel of `main`'s participant, which has one at a time.
 *
 * @param number how many it has had before, all of which have been unlinked: they are told apart by
 * name, although their files have the same path
 */
export function servePrivate(
  main: ChannelHandle,
  options: ChannelOptions,
  number: number = 0,
): PrivateChannel {
  const { path, mode } = main.privateChannel();
  const file = path.slice(path.lastIndexOf("/") + 1);
  const name = number === 0 ? file : `${file}.${number}`;
  return { name, server: Server.open(path, { ...options, mode }) };
}

/**
 * Opens the private channel of another participant of `main`'s channel.
 *
 * @throws {TandemError} `CORRUPT` for an impossible name; `NOT_FOUND` when that participant is gone
 */
export function connectPrivate(main: ChannelHandle, name: string): Client {
  const file = privateName.exec(name)?.[1];
  if (file === undefined) {
    throw new TandemError("CORRUPT", "Cannot open a private channel: its name is impossible");
  }
  const { path } = main.privateChannel();
  return Client.open(`${path.slice(0, path.lastIndexOf("/"))}/${file}`);
}
