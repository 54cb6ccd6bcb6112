/**
 * The process at the other end of a call.
 *
 * @module
 */

/**
 * The process that sent a request. All of it is what that process says of itself: use it for logs and
 * limits. Who can open a channel at all is decided by the owner and the mode of its file.
 *
 * @example Who calls
 * ```ts
 * import { callContext, connect, type Peer, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 * import process from "node:process";
 *
 * const api = { whoAmI: (): Peer => callContext()!.peer };
 * await using service = serve("peers", api);
 * using remote = connect<typeof api>("peers", { timeout: 5_000 });
 * assertEquals((await remote.whoAmI()).pid, process.pid);
 * service.unlink();
 * ```
 */
export interface Peer {
  /**
   * Its process id, as it sees it itself: in a container of its own it has another one outside. 0 when the
   * sender is unknown: it posted the request, has closed since, and another handle took its place.
   */
  readonly pid: number;
  /** Its effective user id; -1 when it is unknown. */
  readonly uid: number;
  /** The runtime that it runs on. */
  readonly runtime: "deno" | "bun" | "node" | "unknown";
  /**
   * Where the caller's connection comes from, if the process only passes on the requests of others, as a ZeroMQ
   * door does: an IP address, or `ipc:` and what the kernel says of the process.
   */
  readonly address?: string;
  /** The caller's public key in Z85, if its connection is encrypted with CURVE. */
  readonly key?: string;
}

/** A handle that is open on a channel, and the process that has it. */
export interface Participant extends Peer {
  /** The side of the channel that the handle is on. */
  readonly role: "client" | "server";
  /** The requests that it has taken and not answered yet. */
  readonly calls: number;
}

/** For whom a process passes on a request. */
export interface Origin {
  readonly address: string;
  readonly key: string | undefined;
  /** The method that the request calls, where the receiver is a service with several. */
  readonly method: string | undefined;
}

/** Stands for a sender that can no longer be found. */
export const unknownPeer: Peer = Object.freeze({ pid: 0, uid: -1, runtime: "unknown" });
