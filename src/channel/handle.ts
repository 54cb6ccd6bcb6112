/**
 * The common part of servers and clients.
 *
 * @module
 */
import { notConstructible } from "../base/maker.ts";
import { HandleCore } from "./handle_core.ts";
import type { Participant } from "../base/peer.ts";
import type { Stats } from "../base/stats.ts";

/** The work of a handle, for other layers. Users cannot reach it. */
export let coreOf: (handle: ChannelHandle) => HandleCore;

const names: ReadonlySet<string> = new Set(["Server", "Client", "IntServer", "IntClient"]);

/**
 * An open handle on a channel: the common base of {@linkcode Server}, {@linkcode Client},
 * {@linkcode IntServer} and {@linkcode IntClient}. It belongs to its thread: a Worker opens its own. It
 * does not keep a process alive.
 *
 * @example
 * ```ts
 * import { type ChannelHandle, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * function describe(handle: ChannelHandle): string {
 *   return `${handle.slots} calls at once, of up to ${handle.maxRequestBytes} bytes`;
 * }
 *
 * using server = Server.anonymous({ slots: 8, maxRequestBytes: 1000 });
 * assertEquals(describe(server), "8 calls at once, of up to 1000 bytes");
 * ```
 */
export abstract class ChannelHandle implements Disposable {
  readonly #core: HandleCore;

  static {
    coreOf = (handle) => handle.#core;
  }

  /** @ignore Only the static methods of the subclasses make handles. */
  protected constructor(core: never, name: string) {
    if (!((core as unknown) instanceof HandleCore)) {
      const instead = "the static methods of Server, Client, IntServer or IntClient";
      // Not `new.target.name`, which minifiers change. A user may pass anything.
      throw notConstructible(names.has(name) ? name : "ChannelHandle", instead);
    }
    this.#core = core;
  }

  /** The path of the channel's file; null for an anonymous channel. */
  get path(): string | null {
    return this.#core.path;
  }

  /**
   * A descriptor of the channel, to give to another process. It belongs to this handle and closes with
   * it. A process that holds the descriptor is no participant: when this process dies, the others notice
   * it even if the descriptor is still open elsewhere.
   *
   * @throws {TandemError} `CLOSED`; `NO_SPACE` when too many files are open; `PERMISSION` when the
   * channel's file has a mode that keeps its owner out
   */
  get fd(): number {
    return this.#core.fd;
  }

  /** The calls of all clients together that can be in flight at once. */
  get slots(): number {
    return this.#core.slots;
  }

  /** The longest request in bytes. */
  get maxRequestBytes(): number {
    return this.#core.maxRequestBytes;
  }

  /** The longest response in bytes. */
  get maxResponseBytes(): number {
    return this.#core.maxResponseBytes;
  }

  /** How many servers, in turn, may receive one request, at most and by default. */
  get maxDeliveries(): number {
    return this.#core.maxDeliveries;
  }

  /**
   * Numbers about the channel.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   *
   * using server = Server.anonymous({ slots: 8 });
   * using client = Client.fromFd(server.fd);
   * client.post("x");
   * const { slots, queued, clients, servers } = server.stats();
   * assertEquals({ slots, queued, clients, servers }, { slots: 8, queued: 1, clients: 1, servers: 1 });
   * ```
   *
   * @throws {TandemError} `CLOSED`
   */
  stats(): Stats {
    return this.#core.stats();
  }

  /**
   * The handles that are open on the channel, this one too, in the order of their places in the channel. It
   * looks for deaths first, so all of them are alive.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assertEquals } from "@std/assert";
   * import process from "node:process";
   *
   * using server = Server.anonymous();
   * using _client = Client.fromFd(server.fd);
   * const roles = server.participants().map(({ role, pid }) => [role, pid]);
   * assertEquals(roles, [["server", process.pid], ["client", process.pid]]);
   * ```
   *
   * @throws {TandemError} `CLOSED`
   */
  participants(): Participant[] {
    this.#core.sweep();
    return this.#core.members().map(({ role, pid, uid, runtime, calls }) => ({
      role,
      pid,
      uid,
      runtime,
      calls,
    }));
  }

  /**
   * A descriptor that becomes readable when a server can take a request or a client can take an answer,
   * also while this thread is blocked. For other event loops and native code: poll it, then call
   * {@linkcode drainNotify} and take the requests or answers. It belongs to this handle.
   *
   * @example
   * ```ts
   * import { Client, Server } from "@tandem/ipc";
   * import { assert } from "@std/assert";
   *
   * using server = Server.anonymous();
   * assert(server.notifyFd > 2); // give it to poll or epoll; when it is readable:
   * server.drainNotify();
   * for (const request of server.tryReceiveMany()) request.reply("done");
   * ```
   *
   * @throws {TandemError} `CLOSED`; `PERMISSION` when the folder for bells cannot be written
   */
  get notifyFd(): number {
    return this.#core.notifyFd;
  }

  /**
   * Makes {@linkcode notifyFd} unreadable until there is something new to take, or something left.
   *
   * @throws {TandemError} `CLOSED`
   */
  drainNotify(): void {
    this.#core.drainNotify();
  }

  /**
   * Makes a descriptor that related processes share, an eventfd for example, this handle's
   * {@linkcode notifyFd}. The handle duplicates it: the caller keeps its own. Handles on the other side
   * adopt the same descriptor with {@linkcode adoptPeerNotifyFd}.
   *
   * @throws {TandemError} `CORRUPT` when it is no open descriptor; `CLOSED`
   * @throws {RangeError} when `fd` cannot be a descriptor
   */
  adoptNotifyFd(fd: number): void {
    this.#core.adoptNotifyFd(fd, 0);
  }

  /**
   * Takes the descriptor that handles on the other side have adopted. This handle writes to it when there
   * is something for them, and when {@linkcode notify} is called.
   *
   * @throws {TandemError} `CORRUPT` when it is no open descriptor; `CLOSED`
   * @throws {RangeError} when `fd` cannot be a descriptor
   */
  adoptPeerNotifyFd(fd: number): void {
    this.#core.adoptNotifyFd(fd, 1);
  }

  /**
   * Makes the notify descriptors of the other side readable, even if there is nothing to take.
   *
   * @throws {TandemError} `CLOSED`
   */
  notify(): void {
    this.#core.notify();
  }

  /**
   * Leaves the channel. Views of its memory become empty, and pending promises reject with `CLOSED`.
   * Calling it twice is fine.
   */
  abstract close(): void;

  /** The same as {@linkcode close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}
