/**
 * Shared memory as a transport: a target is a channel.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import type { Gate } from "../base/gate.ts";
import { ClientCore } from "../channel/client_core.ts";
import type { DraftCore } from "../channel/draft_core.ts";
import type { HandleCore } from "../channel/handle_core.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { connectPrivate, servePrivate } from "../channel/private.ts";
import { replacedGrace } from "../channel/reload.ts";
import { ServerCore } from "../channel/server_core.ts";
import { SharedTopic } from "./shared_topic.ts";
import type { Stats } from "../base/stats.ts";
import type {
  AnswerReader,
  Bytes,
  Delivery,
  Message,
  PrivateReceiver,
  Receiver,
  ReceiverInfo,
  Requester,
  RequestTerms,
  TopicTransport,
  Transport,
} from "./transport.ts";

/** Stands for the path of a channel that has none. */
export const anonymousName = "(anonymous)";

/** The private paths of an end. */
class ChannelEnd {
  readonly #core: HandleCore;

  constructor(core: HandleCore) {
    this.#core = core;
  }

  servePrivate(options: ChannelOptions, count: number): PrivateReceiver {
    const { server, name, remove } = servePrivate(this.#core, options, count);
    return { receiver: new ChannelReceiver(server), name, remove };
  }

  connectPrivate(name: string): Requester {
    return new ChannelRequester(connectPrivate(this.#core, name));
  }
}

/** The requesting end of a channel. */
export class ChannelRequester extends ChannelEnd implements Requester {
  readonly maxRequestBytes: number;
  readonly #client: ClientCore;

  constructor(client: ClientCore) {
    super(client);
    this.#client = client;
    this.maxRequestBytes = client.maxRequestBytes;
    // Services wait in event loops, so they notice dead clients themselves.
    client.watchServersOnly();
  }

  get receivers(): number {
    return this.#client.servers;
  }

  listReceivers(): ReceiverInfo[] {
    return this.#client.members().filter(({ role }) => role === "server");
  }

  request(message: Message, terms: RequestTerms | undefined, reader: AnswerReader): void {
    const client = this.#client;
    const { isBackground = false, roomTimeout = Infinity } = terms ?? {};
    const { whole } = message;
    if (whole) return client.requestReading(whole, terms, reader, isBackground, roomTimeout);
    // Requests that already wait for a slot go first, because a later one may depend on an earlier one.
    const draft = client.hasRoomWaiters ? null : tryAllocate(client, message.byteLength);
    if (draft) {
      message.copyTo(draft.bytes);
      return draft.requestReading(terms, reader);
    }
    // The request waits for a slot, and the caller may change its byte arrays meanwhile.
    const copy: Bytes = new Uint8Array(message.byteLength);
    message.copyTo(copy);
    client.requestReading(copy, terms, reader, isBackground, roomTimeout);
  }

  onLoss(listener: () => void): void {
    this.#client.onDeath(listener);
  }

  close(): void {
    this.#client.close();
  }
}

function tryAllocate(client: ClientCore, byteLength: number): DraftCore | null {
  try {
    return client.allocate(byteLength);
  } catch (error) {
    // It waits for memory as for a slot.
    const code = codeOf(error);
    if (code === "BUSY" || code === "NO_SPACE") return null;
    throw error;
  }
}

/** The receiving end of a channel. */
export class ChannelReceiver extends ChannelEnd implements Receiver {
  readonly isPrivate = false;
  readonly slots: number;
  readonly maxResponseBytes: number;
  readonly #server: ServerCore;

  constructor(server: ServerCore) {
    super(server);
    this.#server = server;
    this.slots = server.slots;
    this.maxResponseBytes = server.maxResponseBytes;
  }

  get path(): string {
    return this.#server.path ?? anonymousName;
  }

  onReplaced(listener: (graceMilliseconds: number) => void): void {
    this.#server.onReplaced = () => listener(replacedGrace);
  }

  unref(): void {
    this.#server.unref();
  }

  serve(gate: Gate, take: (delivery: Delivery) => void, signal: AbortSignal): Promise<void> {
    return this.#server.serveThrough(gate, take, signal);
  }

  consume(take: (delivery: Delivery) => void): Promise<void> {
    return this.#server.consume({ hasRoom: true, take });
  }

  stats(): Stats {
    return this.#server.stats();
  }

  unlink(): boolean {
    return this.#server.unlink();
  }

  close(): void {
    this.#server.close();
  }
}

/** Channels in shared memory. */
export const sharedMemory: Transport & TopicTransport = {
  serve: (target, options) => new ChannelReceiver(ServerCore.open(target, options)),
  open: (target) => new ChannelRequester(ClientCore.open(target)),
  connect: async (target, signal) =>
    new ChannelRequester(await ClientCore.connect(target, { signal })),
  openTopic: (target, terms) => new SharedTopic(target, terms),
};
