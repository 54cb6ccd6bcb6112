/**
 * What servers and clients have in common.
 *
 * @module
 */
import { notConstructible } from "../base/maker.ts";
import { HandleCore } from "./handle_core.ts";
import type { Stats } from "./stats.ts";

/**
 * An open end of a channel: what {@linkcode Server} and {@linkcode Client} and their like for integers
 * have in common. It belongs to its thread: a Worker opens its own. It does not keep a process alive.
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

  /** @ignore Only the static methods of the subclasses make handles. */
  protected constructor(core: never) {
    if (!((core as unknown) instanceof HandleCore)) {
      throw notConstructible(
        new.target.name,
        `the static methods, such as ${new.target.name}.open()`,
      );
    }
    this.#core = core;
  }

  /** The path of the channel's file; null for an anonymous channel. */
  get path(): string | null {
    return this.#core.path;
  }

  /**
   * A descriptor of the channel, to be given to another process. It belongs to this handle and is
   * closed with it. Who has it has no part in this handle: the process may die while the other one
   * lives, and is known to be dead.
   *
   * @throws {TandemError} `CLOSED`; `NO_SPACE` when too many files are open; `PERMISSION` when the
   * mode of the channel's file has come to keep its owner out
   */
  get fd(): number {
    return this.#core.fd;
  }

  /** Calls that can be in flight at once, of all clients together. */
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

  /** How many servers may be handed one request, at most and by default. */
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
   * A descriptor that becomes readable when there is something to take: for a server a request, for a
   * client an answer; also while this thread is blocked. For other event loops and native code: poll
   * it, then call {@linkcode drainNotify} and take what is there. It belongs to this handle.
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
   * Makes {@linkcode notifyFd} unreadable until there is something new, or something left, to take.
   *
   * @throws {TandemError} `CLOSED`
   */
  drainNotify(): void {
    this.#core.drainNotify();
  }

  /**
   * Makes a descriptor that is shared with relatives, an eventfd for example, this handle's
   * {@linkcode notifyFd}. It is duplicated: the caller keeps its own. Handles on the other side adopt
   * the same with {@linkcode adoptPeerNotifyFd}.
   *
   * @throws {TandemError} `CORRUPT` when it is no open descriptor; `CLOSED`
   * @throws {RangeError} for what cannot be a descriptor
   */
  adoptNotifyFd(fd: number): void {
    this.#core.adoptNotifyFd(fd, 0);
  }

  /**
   * Takes the descriptor that handles on the other side have adopted as theirs: it is written to
   * when there is something for them, and by {@linkcode notify}.
   *
   * @throws {TandemError} `CORRUPT` when it is no open descriptor; `CLOSED`
   * @throws {RangeError} for what cannot be a descriptor
   */
  adoptPeerNotifyFd(fd: number): void {
    this.#core.adoptNotifyFd(fd, 1);
  }

  /**
   * Makes the notify descriptors of the other side readable, whether there is something or not.
   *
   * @throws {TandemError} `CLOSED`
   */
  notify(): void {
    this.#core.notify();
  }

  /**
   * Leaves the channel: views of its memory become empty and pending promises reject with `CLOSED`.
   * Twice is fine.
   */
  abstract close(): void;

  /** Does what {@linkcode close} does. */
  [Symbol.dispose](): void {
    this.close();
  }
}
