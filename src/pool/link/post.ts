/**
 * Channels of posted messages: what a worker reports, and what its supervisor orders.
 *
 * @module
 */
import { codeOf, textOf } from "../../base/guard.ts";
import { ClientCore } from "../../channel/client_core.ts";
import { ServerCore } from "../../channel/server_core.ts";
import type { RequestCore } from "../../channel/request_core.ts";
import { ErrorClasses } from "../../codec/error_classes.ts";
import { TopicCodec } from "../../rpc/topic_codec.ts";
import { later } from "../../runtime/timers.ts";
import { shortened } from "./formatting.ts";

/** The longest message. */
const maxBytes = 2 ** 20;
/** Messages that wait until they are read. */
const slots = 1_024;
/** Of these, so many are left to messages that must not be lost. */
const reservedSlots = 64;
/** After how many milliseconds a message that found no room is posted again. */
const retryAfter = 20;

/** The longest text that stands for an error, in UTF-16 units. */
const describedMax = 64 * 1024;

const codec = new TopicCodec(new ErrorClasses(), maxBytes);

/** The writing side. The reader may be stopped or gone: nothing here waits for it. */
export class Outbox<M> {
  readonly #client: ClientCore;
  /** Encoded messages that have found no room, in their order. */
  readonly #waiting: Uint8Array[] = [];
  #cancelRetry: (() => void) | null = null;
  /** Runs when messages that waited are lost, because the other process has damaged the channel. */
  onLost: () => void = () => {};

  constructor(client: ClientCore) {
    this.#client = client;
  }

  /** Makes a channel to write to. Another process reads from its {@linkcode fd}. */
  static create<M>(name: string): Outbox<M> {
    const server = anonymous(name);
    try {
      return new Outbox<M>(ClientCore.fromFd(server.fd));
    } finally {
      server.close();
    }
  }

  /** @throws {TandemError} `CORRUPT` when it is no channel */
  static fromFd<M>(fd: number): Outbox<M> {
    return new Outbox<M>(ClientCore.fromFd(fd));
  }

  /** Belongs to this object. */
  get fd(): number {
    return this.#client.fd;
  }

  /**
   * Posts a message, natively and at once, so that it arrives even if this process ends in the next instruction.
   * If there is no room, it is posted as soon as there is some.
   *
   * @throws {TandemError} `NOT_SERIALIZABLE`, `TOO_LARGE`; `CLOSED`
   */
  post(message: M): void {
    codec.encode(message, (bytes) => {
      if (this.#waiting.length === 0 && this.#tryPost(bytes)) return;
      this.#waiting.push(bytes.slice());
      this.#retryLater();
    });
  }

  /**
   * As {@linkcode post}, but drops the message if there is little room.
   *
   * @returns false: it was dropped
   */
  offer(message: M): boolean {
    return codec.encode(message, (bytes) => {
      if (this.#waiting.length > 0 || !this.#client.hasRoom(slots - reservedSlots)) return false;
      return this.#tryPost(bytes);
    });
  }

  /** Posts a message with an error, or with a description of it if it cannot be sent. Never throws. */
  postDescribed(message: (error: unknown) => M, error: unknown): void {
    try {
      this.post(message(error));
    } catch {
      try {
        this.post(message(descriptionOf(error)));
      } catch {
        // The channel is damaged: the supervisor sees how this process ends.
      }
    }
  }

  /** Whether a value can be part of a message, and takes at most `max` bytes there. Never throws. */
  canSend(value: unknown, max: number): boolean {
    try {
      return codec.encode(value, ({ byteLength }) => byteLength <= max);
    } catch {
      return false;
    }
  }

  close(): void {
    this.#cancelRetry?.();
    this.#waiting.length = 0;
    this.#client.close();
  }

  #tryPost(bytes: Uint8Array): boolean {
    try {
      return this.#client.post(bytes);
    } catch (error) {
      // As if it had no room: memory may become free.
      if (codeOf(error) === "NO_SPACE") return false;
      throw error;
    }
  }

  #retryLater(): void {
    this.#cancelRetry ??= later(retryAfter, () => {
      this.#cancelRetry = null;
      try {
        while (this.#waiting.length > 0 && this.#tryPost(this.#waiting[0]!)) this.#waiting.shift();
      } catch {
        this.#waiting.length = 0;
        return this.onLost();
      }
      if (this.#waiting.length > 0) this.#retryLater();
    });
  }
}

/** The reading side. It does not keep the process alive. */
export class Inbox<M> {
  readonly #server: ServerCore;

  constructor(server: ServerCore) {
    this.#server = server;
  }

  /** Makes a channel to read from. Another process writes to its {@linkcode fd}. */
  static create<M>(name: string): Inbox<M> {
    return new Inbox<M>(anonymous(name));
  }

  /** @throws {TandemError} `CORRUPT` when it is no channel */
  static fromFd<M>(fd: number): Inbox<M> {
    return new Inbox<M>(ServerCore.fromFd(fd));
  }

  /** Whether a channel is one of these, and not any other that a process has inherited. */
  get isPost(): boolean {
    const { slots: found, maxRequestBytes, maxResponseBytes } = this.#server;
    return found === slots && maxRequestBytes === maxBytes && maxResponseBytes === 0;
  }

  /** Belongs to this object. */
  get fd(): number {
    return this.#server.fd;
  }

  /**
   * Takes the oldest message; undefined: there is none. Unreadable messages are skipped.
   *
   * @throws {TandemError} `CLOSED`; `CORRUPT` when the channel is damaged
   */
  take(): M | undefined {
    for (;;) {
      const request = this.#server.tryReceive();
      if (!request) return undefined;
      const message = read<M>(request);
      if (message !== undefined) return message;
    }
  }

  /**
   * Hands messages to `take` as they come, until this is closed. Never throws.
   */
  listen(take: (message: M) => void): void {
    const handle = (request: RequestCore) => {
      const message = read<M>(request);
      if (message !== undefined) take(message);
    };
    const consumed = this.#server.consume({ hasRoom: true, take: handle });
    this.#server.unref();
    // It rejects when the other process has damaged the channel.
    consumed.catch(() => this.close());
  }

  close(): void {
    this.#server.close();
  }
}

/** The text of an error, or of another value. */
function descriptionOf(error: unknown): Error {
  const description = new Error(shortened(textOf(error), describedMax));
  try {
    const { name, stack } = error as Error;
    if (typeof name === "string") description.name = name;
    if (typeof stack === "string") description.stack = shortened(stack, describedMax);
  } catch {
    // It is no error, or its getters throw.
  }
  return description;
}

function anonymous(name: string): ServerCore {
  return ServerCore.anonymous({ name, slots, maxRequestBytes: maxBytes, maxResponseBytes: 0 });
}

/** Undefined: the other process has sent something else. */
function read<M>(request: RequestCore): M | undefined {
  try {
    // A copy: other processes may write to shared memory while it is read.
    return codec.decode(request.bytes.slice()) as M;
  } catch {
    return undefined;
  } finally {
    request.reply("");
  }
}
