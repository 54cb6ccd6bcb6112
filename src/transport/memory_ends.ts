/**
 * The two ends of a target of the memory transport.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import type { Gate } from "../base/gate.ts";
import type { Stats } from "../base/stats.ts";
import { TandemError } from "../errors.ts";
import { keepAlive } from "../runtime/timers.ts";
import type { MemoryCall } from "./memory_call.ts";
import { MemoryDelivery } from "./memory_delivery.ts";
import { MemoryHub, removedError, type Sender, type Taker } from "./memory_hub.ts";
import type {
  AnswerReader,
  Delivery,
  Message,
  PrivateReceiver,
  Receiver,
  ReceiverInfo,
  Requester,
  RequestTerms,
} from "./transport.ts";

/** The private paths of an end. */
class MemoryEnd {
  protected readonly hub: MemoryHub;
  /** Under which the others find its private path. */
  readonly privatePath: string = crypto.randomUUID();

  constructor(hub: MemoryHub) {
    this.hub = hub;
  }

  servePrivate(options: ChannelOptions, count: number): PrivateReceiver {
    return servePrivatePath(this.hub, this.privatePath, options, count);
  }

  connectPrivate(name: string): Requester {
    return connectPrivatePath(this.hub, name);
  }
}

export class MemoryRequester extends MemoryEnd implements Requester, Sender {
  readonly maxRequestBytes: number;
  #onLoss: () => void = () => {};
  #isOpen = true;

  constructor(hub: MemoryHub) {
    super(hub);
    this.maxRequestBytes = hub.sizes.maxRequestBytes;
    hub.addSender(this);
  }

  get receivers(): number {
    return this.hub.takers;
  }

  listReceivers(): ReceiverInfo[] {
    return this.hub.listTakers();
  }

  request(message: Message, terms: RequestTerms | undefined, reader: AnswerReader): void {
    if (!this.#isOpen) throw closed("send a request");
    this.hub.send(this, message, terms ?? {}, reader);
  }

  onLoss(listener: () => void): void {
    this.#onLoss = listener;
  }

  takerLost(): void {
    this.#onLoss();
  }

  close(): void {
    this.#isOpen = false;
    this.hub.removeSender(this);
  }
}

/** A pending {@linkcode MemoryReceiver.consume} or turn of {@linkcode MemoryReceiver.serve}. */
interface Consumer {
  readonly hasRoom: boolean;
  take(delivery: Delivery): void;
  end(error?: TandemError): void;
}

export class MemoryReceiver extends MemoryEnd implements Receiver, Taker {
  readonly isPrivate = true;
  readonly path: string;
  readonly slots: number;
  readonly maxResponseBytes: number;
  readonly #held: Set<MemoryDelivery> = new Set();
  #consumer: Consumer | null = null;
  #isReferenced = true;
  #isOpen = true;
  /** This receiver was asked to remove the target, so the removal is no error for it. */
  #hasUnlinked = false;
  readonly #onUnlink: () => boolean;

  /** @param onUnlink removes the target's name; returns false when it is gone already */
  constructor(hub: MemoryHub, onUnlink: () => boolean) {
    super(hub);
    this.#onUnlink = onUnlink;
    this.path = hub.target;
    this.slots = hub.sizes.slots;
    this.maxResponseBytes = hub.sizes.maxResponseBytes;
    hub.addTaker(this);
  }

  get hasRoom(): boolean {
    return this.#consumer?.hasRoom ?? false;
  }

  get calls(): number {
    return this.#held.size;
  }

  take(call: MemoryCall): void {
    const delivery = new MemoryDelivery(this.hub, call, (answered) => {
      this.#held.delete(answered);
      return this.#isOpen;
    });
    this.#held.add(delivery);
    this.#consumer!.take(delivery);
  }

  targetRemoved(): void {
    if (!this.#hasUnlinked) this.#consumer?.end(removedError("receive a request"));
  }

  /** Newer code loads this module anew, with targets of its own, so it never replaces a receiver. */
  onReplaced(): void {}

  unref(): void {
    this.#isReferenced = false;
  }

  async serve(
    gate: Gate,
    take: (delivery: Delivery) => void,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted && this.#isOpen) {
      if (gate.isFull) await gate.change();
      else await this.#consume(() => !gate.isFull, take, signal);
    }
    while (!gate.isEmpty && this.#isOpen) await gate.change();
  }

  consume(take: (delivery: Delivery) => void): Promise<void> {
    return this.#consume(() => true, take, undefined);
  }

  /** Resolves when there is no room, when `signal` aborts, and when this receiver is closed. */
  async #consume(
    hasRoom: () => boolean,
    take: (delivery: Delivery) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (!this.#isOpen) return;
    if (this.hub.isRemoved && !this.#hasUnlinked) throw removedError("receive a request");
    const ended = Promise.withResolvers<void>();
    const consumer: Consumer = {
      get hasRoom() {
        return hasRoom();
      },
      take: (delivery) => {
        try {
          take(delivery);
        } catch (error) {
          // Only this request fails; the receiver goes on. A receiver that is closed holds none.
          if (this.#isOpen) delivery.fail(error);
        }
        if (!hasRoom()) consumer.end();
      },
      end: (error) => {
        if (this.#consumer === consumer) this.#consumer = null;
        if (error) ended.reject(error);
        else ended.resolve();
      },
    };
    const stopListening = signal && onAbort(signal, () => consumer.end());
    const release = this.#isReferenced ? keepAlive() : null;
    this.#consumer = consumer;
    this.hub.schedule();
    try {
      await ended.promise;
    } finally {
      release?.();
      stopListening?.();
    }
  }

  stats(): Stats {
    if (!this.#isOpen) throw closed("look at a target");
    return this.hub.stats();
  }

  unlink(): boolean {
    this.#hasUnlinked = true;
    const isRemoved = this.#onUnlink();
    this.hub.remove();
    return isRemoved;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#consumer?.end();
    const held = [...this.#held];
    this.#held.clear();
    this.hub.removeTaker(this, held.map(({ call }) => call));
    // Last, because it runs user code.
    for (const delivery of held) delivery.abandon();
  }
}

/** @param count the number of earlier private paths of that end: the names differ */
function servePrivatePath(
  main: MemoryHub,
  place: string,
  options: ChannelOptions,
  count: number,
): PrivateReceiver {
  const name = count === 0 ? place : `${place}.${count}`;
  const forget = () => main.privatePaths.get(place) === hub && main.privatePaths.delete(place);
  const hub = new MemoryHub(`${main.target}/${name}`, options, () => void forget());
  main.privatePaths.set(place, hub);
  const receiver = new MemoryReceiver(hub, forget);
  const remove = () => {
    forget();
    hub.remove();
    receiver.close();
  };
  return { receiver, name, remove };
}

function closed(tried: string): TandemError {
  return new TandemError("CLOSED", `Cannot ${tried}: this end of the target is closed`);
}

function connectPrivatePath(main: MemoryHub, name: string): Requester {
  const hub = main.privatePaths.get(name.replace(/\.\d{1,9}$/, ""));
  if (!hub) throw removedError("open the private path of another end");
  return new MemoryRequester(hub);
}
