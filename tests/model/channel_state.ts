/**
 * The required state of a channel: a list of messages, each in one of five states, and a queue. Each method
 * is one step of that state.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Content, Counts, Operation, Sizes } from "./operations.ts";
import { found } from "./outcomes.ts";
import type { Answer, HeldRequest, Message, OpenDraft, OpenHandle, Wait } from "./state.ts";

/** The required state of a channel, and its transitions. */
export class ChannelState {
  readonly sizes: Sizes;
  readonly clients: Map<string, OpenHandle> = new Map();
  readonly servers: Map<string, OpenHandle> = new Map();
  readonly calls: Map<string, Message> = new Map();
  readonly drafts: Map<string, OpenDraft> = new Map();
  readonly requests: Map<string, HeldRequest> = new Map();
  /** In the order in which they were made. */
  readonly waits: Map<string, Wait> = new Map();
  readonly messages: Message[] = [];
  /** Every id so far: none may come twice. */
  readonly ids: Map<string, Message> = new Map();
  /** Incremented by each operation, and part of the names of new objects. */
  serial = 0;
  /** The oldest first. Requests handed on at the same moment have no order among them. */
  #queue: Message[][] = [];
  /** The requests that the last operation and its consequences have handed on. */
  #handedOn: Message[] | null = null;
  #requestCount = 0;
  #replyCount = 0;
  #redeliveredCount = 0;

  constructor(sizes: Sizes) {
    this.sizes = sizes;
  }

  /** Whether a slot is free. */
  get hasRoom(): boolean {
    const drafts = [...this.drafts.values()].filter(({ isUsed }) => !isUsed).length;
    return drafts + this.inFlight.length < this.sizes.slots;
  }

  get inFlight(): Message[] {
    return this.messages.filter(({ state }) => state !== "gone");
  }

  /** Whether a server would get a request. */
  get hasRequest(): boolean {
    return this.#queue.flat().some(({ isLate }) => !isLate);
  }

  /** The next event that has to follow without an operation; null: none. */
  get nextEvent(): Operation | null {
    for (const wait of this.waits.values()) {
      if (wait.kind !== "receive" && this.isDue(wait)) return { op: "nextClientEvent" };
    }
    for (const wait of this.waits.values()) {
      if (wait.kind === "receive" && this.isDue(wait)) return { op: "nextServerEvent" };
    }
    return null;
  }

  protected isDue({ kind, message, isClosed }: Wait): boolean {
    if (isClosed) return true;
    switch (kind) {
      case "room":
        return this.hasRoom;
      case "receive":
        return this.hasRequest;
      default:
        return message!.state !== "held" && (message!.state !== "queued" || message!.isLate);
    }
  }

  protected closeClient(name: string): void {
    found(this.clients, name).isOpen = false;
    for (const draft of this.drafts.values()) if (draft.client === name) draft.isUsed = true;
    for (const message of this.messages) {
      if (message.client !== name || message.oneWay) continue;
      if (message.state === "ready") message.state = "gone";
      else this.cancel(message);
    }
    this.closeWaits(name);
  }

  protected closeServer(name: string): void {
    found(this.servers, name).isOpen = false;
    const handedOn: Message[] = [];
    for (const message of this.inFlight) {
      if (message.server !== name) continue;
      if (message.state === "abandoned") message.state = "gone";
      if (message.state !== "held") continue;
      message.server = null;
      if (message.deliveries < message.maxDeliveries) {
        message.state = "queued";
        handedOn.push(message);
      } else if (message.oneWay) {
        message.state = "gone";
      } else {
        message.state = "ready";
        message.answer = { error: "SERVER_DIED" };
      }
    }
    if (handedOn.length > 0) {
      this.#queue.push(handedOn);
      this.#handedOn = handedOn;
    }
    this.closeWaits(name);
  }

  protected closeWaits(handle: string): void {
    for (const wait of this.waits.values()) if (wait.handle === handle) wait.isClosed = true;
  }

  protected queueNew(
    client: string,
    content: Content,
    options: {
      readonly oneWay?: boolean;
      readonly isLate?: boolean;
      readonly maxDeliveries?: number | undefined;
    },
  ): Message {
    assert(this.hasRoom, "a slot was found although none is free");
    const { oneWay = false, isLate = false } = options;
    const message: Message = {
      client,
      content,
      oneWay,
      isLate,
      maxDeliveries: options.maxDeliveries ?? this.sizes.maxDeliveries,
      state: "queued",
      id: null,
      server: null,
      deliveries: 0,
      answer: null,
    };
    this.messages.push(message);
    // A client that waits for a slot may be quicker than a server that leaves and frees slot after slot.
    if (this.#handedOn) this.#handedOn.push(message);
    else this.#queue.push([message]);
    this.#requestCount += 1;
    return message;
  }

  protected unqueue(message: Message): void {
    for (const group of this.#queue) {
      const place = group.indexOf(message);
      if (place >= 0) group.splice(place, 1);
    }
    this.#queue = this.#queue.filter((group) => group.length > 0 || group === this.#handedOn);
  }

  /** Requests past their deadline are not delivered, and their clients get TIMEOUT. */
  protected skipLate(): void {
    for (let group = this.#queue[0]; group?.[0]?.isLate; group = this.#queue[0]) {
      const [message] = group;
      this.#queue.shift();
      message!.state = "ready";
      message!.answer = { error: "TIMEOUT" };
    }
  }

  protected identify(message: Message, id: string): void {
    if (message.id !== null) return assertEquals(id, message.id, "the request has another id");
    assert(!this.ids.has(id), `the id ${id} has come back`);
    message.id = id;
    this.ids.set(id, message);
  }

  /** Ends a message that has no answer yet. */
  protected cancel(message: Message): boolean {
    if (message.state !== "queued" && message.state !== "held") return false;
    if (message.state === "queued") this.unqueue(message);
    message.state = message.state === "queued" ? "gone" : "abandoned";
    return true;
  }

  protected wait(
    kind: Wait["kind"],
    handle: string,
    name: string,
    { message, call, content, max, into }: {
      message?: Message;
      call?: string;
      content?: Content;
      max?: number;
      into?: number | undefined;
    },
  ): void {
    this.waits.set(name, {
      name,
      kind,
      handle,
      ...(message && { message }),
      ...(call !== undefined && { call }),
      ...(content && { content }),
      ...(max !== undefined && { max }),
      into,
      isClosed: false,
    });
  }

  protected isOpen(handle: string): boolean {
    return (this.clients.get(handle) ?? this.servers.get(handle))?.isOpen === true;
  }

  protected counts(client: string): Counts {
    const open = (handles: Iterable<OpenHandle>) =>
      [...handles].filter(({ isOpen }) => isOpen).length;
    const servers = open(this.servers.values());
    return {
      inFlight: this.inFlight.length,
      queued: this.#queue.flat().length,
      clients: open(this.clients.values()),
      servers,
      requests: this.#requestCount,
      replies: this.#replyCount,
      redelivered: this.#redeliveredCount,
      pending:
        this.inFlight.filter((message) =>
          message.client === client && !message.oneWay && message.state !== "abandoned"
        ).length,
      serversOpen: servers,
    };
  }

  /** The requests of the queue, the oldest group first. */
  protected get queue(): readonly (readonly Message[])[] {
    return this.#queue;
  }

  /** After this, a request that is queued no longer competes with requests that were handed on. */
  protected beginOperation(): void {
    this.#handedOn = null;
    this.#queue = this.#queue.filter((group) => group.length > 0);
  }

  /** A client has sent a request that ended with a time-out. */
  protected countRequest(): void {
    this.#requestCount += 1;
  }

  /** Gives a queued message to a server. */
  protected deliver(message: Message, server: string, request: string): void {
    this.unqueue(message);
    message.state = "held";
    message.server = server;
    message.deliveries += 1;
    if (message.deliveries > 1) this.#redeliveredCount += 1;
    this.requests.set(request, { name: request, server, message, isAnswered: false });
  }

  /** Ends a request with the answer of its server; says whether a client may get it. */
  protected answer(request: HeldRequest, answer: Answer): boolean {
    const { message } = request;
    const isHeld = message.state === "held";
    request.isAnswered = true;
    if (isHeld && "bytes" in answer) this.#replyCount += 1;
    if (isHeld && !message.oneWay) {
      message.state = "ready";
      message.answer = answer;
    } else {
      message.state = "gone";
    }
    return isHeld;
  }

  /** Ends all calls without an answer, and returns how many there were. */
  protected cancelAll(): number {
    const ended = this.inFlight.filter(({ state }) => state === "queued" || state === "held");
    for (const message of ended) {
      message.state = message.state === "held" ? "abandoned" : "gone";
    }
    this.#queue = [];
    return ended.length;
  }
}
