/**
 * A connection to NATS servers, which this package keeps up: it is shared by the ends that have the same servers
 * and options, comes back by itself, and tells its users what a loss means for them.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { report, textOf } from "../base/guard.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import { TandemError } from "../errors.ts";
import { keepAlive, later, laterForSure, now } from "../runtime/timers.ts";
import type { Bytes } from "../transport/transport.ts";
import {
  type ClientConnection,
  type ClientInfo,
  type ClientMessage,
  type ClientSubscription,
  connectClient,
  loadClient,
  type NatsClient,
  unrefPings,
} from "./client.ts";
import { cancelFrame, Frame, frameKind, readWorking } from "./frames.ts";
import type { NatsTarget } from "./target.ts";

/** Milliseconds between pings. After two without an answer, the link counts as lost. */
const pingMilliseconds = 2_000;
/** Milliseconds between looks for services that are silent. */
export const tickMilliseconds = 500;
/** Ticks come a little early, because timers are late: a number of ticks must not last longer than it says. */
const punctuality = 0.96;
/** Pauses before attempts to connect again. */
const pauseMin = 50;
const pauseMax = 2_000;
/** Milliseconds for one attempt to connect. */
const dialMilliseconds = 5_000;
/** How long an answer waits for a lost link: then its caller has given up. */
const answerMilliseconds = 5_000;
/** How long a link that is closed may take to send the rest. */
const farewellMilliseconds = 2_000;
/** The most bytes of a message, until the server has told. */
const payloadDefault = 2 ** 20;

/** Somebody who waits for messages under a number. */
export interface Numbered {
  /** A message has arrived. */
  arrived(data: Bytes, message: ClientMessage): void;
  /** The receiver works on it; `control` is the subject for messages to that receiver. */
  heard?(control: string | undefined): void;
  /** Half a second has passed. */
  tick?(): void;
  /** The link is lost. */
  lost?(error: TandemError): void;
  /** The server does not let this program publish to that subject. */
  refused?(subject: string, error: TandemError): void;
}

/** A subscription that outlives the loss of the link. */
export class LinkSubscription {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly take: (data: Bytes, message: ClientMessage) => void;
  readonly refuse: (error: TandemError) => void;
  client: ClientSubscription | null = null;

  constructor(
    subject: string,
    queue: string | undefined,
    take: (data: Bytes, message: ClientMessage) => void,
    refuse: (error: TandemError) => void,
  ) {
    this.subject = subject;
    this.queue = queue;
    this.take = take;
    this.refuse = refuse;
  }
}

/** How a link is reached. */
export interface LinkTerms {
  readonly target: NatsTarget;
  readonly options: NatsOptions;
}

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/** An answer that waits for the link. */
interface Delayed {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly until: number;
}

/** The links of targets without options of their own, by servers and login; and those of options. */
const plainLinks: Map<string, Link> = new Map();
const optionLinks: WeakMap<NatsOptions, Map<string, Link>> = new WeakMap();
/** Links that are sending the rest. */
const farewells: Set<Promise<void>> = new Set();

/** Resolves when no closed link is left that still sends something. */
export async function linksClosed(): Promise<void> {
  while (farewells.size > 0) await Promise.all(farewells);
}

/** @param farewell never rejects */
function noteFarewell(farewell: Promise<void>): void {
  farewells.add(farewell);
  void farewell.then(() => farewells.delete(farewell));
}

/** The link of a target; the caller releases it once. */
export function acquireLink(terms: LinkTerms): Link {
  const { links, key } = placeOf(terms);
  let link = links.get(key);
  if (!link) {
    const made: Link = new Link(terms, () => {
      if (links.get(key) === made) links.delete(key);
    });
    links.set(key, link = made);
  }
  link.acquire();
  return link;
}

/** The link of a target that is open already. */
export function openLink(terms: LinkTerms): Link | null {
  const { links, key } = placeOf(terms);
  const link = links.get(key);
  if (!link?.wasUp) return null;
  link.acquire();
  return link;
}

function placeOf({ target, options }: LinkTerms): { links: Map<string, Link>; key: string } {
  const { servers, user = "", pass = "" } = target;
  let links = plainLinks;
  if (Object.keys(options).some((name) => name !== "prefix")) {
    links = optionLinks.get(options) ?? new Map();
    optionLinks.set(options, links);
  }
  const key = options.connection ? "" : [user, pass, ...servers].join("\n");
  return { links, key };
}

export class Link {
  /** Answers come to subjects below it. */
  readonly inbox: string;
  /** The servers, for messages. */
  readonly place: string;
  maxPayload: number = payloadDefault;
  /** Whether it has been up at least once. */
  wasUp = false;
  /** There will be no connection any more. */
  isOver = false;
  readonly #terms: LinkTerms;
  readonly #onClosed: () => void;
  readonly #running: Promise<void>;
  #users = 0;
  #isClosed = false;
  #client: NatsClient | null = null;
  #connection: ClientConnection | null = null;
  #isUp = false;
  /** Why it is not up. */
  #obstacle: TandemError | null = null;
  readonly #waiters: Set<Waiter> = new Set();
  readonly #subscriptions: Set<LinkSubscription> = new Set();
  readonly #numbered: Map<number, Numbered> = new Map();
  #lastNumber = 0;
  /** Those who wait for an answer of the server. */
  readonly #flushes: Set<(error: TandemError) => void> = new Set();
  #delayed: Delayed[] = [];
  #cancelTick: (() => void) | null = null;
  #cancelPing: (() => void) | null = null;
  #cancelPause: (() => void) | null = null;
  /** The attempt to connect that is going on. */
  #dialing: AbortController | null = null;
  /** Servers that the servers have told of. */
  #told: readonly string[] = [];

  constructor(terms: LinkTerms, onClosed: () => void) {
    this.#terms = terms;
    this.#onClosed = onClosed;
    const { inboxPrefix = "_INBOX", connection } = terms.options;
    this.inbox = `${String(inboxPrefix)}.${crypto.randomUUID().replaceAll("-", "")}`;
    this.place = connection ? "the given connection" : terms.target.servers.join(", ");
    const inbox = new LinkSubscription(
      `${this.inbox}.*`,
      undefined,
      (data, message) => this.#arrived(data, message),
      (error) => this.#fail(error),
    );
    this.#subscriptions.add(inbox);
    this.#running = this.#run();
  }

  acquire(): void {
    this.#users += 1;
  }

  /** The last user closes it. */
  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#close();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** What the server has told of itself; undefined: it is not up. */
  get info(): ClientInfo | undefined {
    return this.#connection?.info;
  }

  /** Why it is not up, as far as it is known. */
  get obstacle(): TandemError | null {
    return this.#isUp ? null : this.#obstacle;
  }

  /** @throws {TandemError} `DISCONNECTED`; `PERMISSION` */
  check(): void {
    if (!this.#isUp) throw this.#obstacle ?? disconnected(this.place, "it is being set up");
  }

  /**
   * Resolves when it is up.
   *
   * @throws {TandemError} `PERMISSION`, `UNSUPPORTED`; `CLOSED`: the given connection is
   */
  opened(signal?: AbortSignal): Promise<void> {
    if (this.#isUp) return Promise.resolve();
    if (this.isOver) return Promise.reject(this.#obstacle!);
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter);
        stopListening?.();
      };
      const waiter: Waiter = {
        resolve: () => {
          leave();
          resolve();
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      const stopListening = signal && onAbort(signal, () => waiter.reject(reasonOf(signal)));
      this.#waiters.add(waiter);
    });
  }

  /** Connects, and connects again, until it is closed. Never rejects. */
  async #run(): Promise<void> {
    let pause = pauseMin;
    while (!this.#isClosed) {
      let failure: unknown;
      try {
        this.#client = await loadClient();
        if (this.#isClosed) return;
        const connection = await this.#dial(this.#client);
        if (this.#isClosed) return void await this.#farewell(connection, false);
        pause = pauseMin;
        failure = await this.#use(connection);
      } catch (error) {
        failure = error;
      }
      if (this.#isClosed) return;
      this.#down(failure);
      const { code } = this.#obstacle!;
      if (!this.wasUp && code !== "DISCONNECTED") return this.#fail(this.#obstacle!);
      if (this.#terms.options.connection) return this.#fail(ownConnectionClosed(failure));
      await new Promise<void>((resolve) => {
        const cancel = later(pause * (0.5 + Math.random() / 2), resolve);
        this.#cancelPause = () => {
          cancel();
          resolve();
        };
      });
      this.#cancelPause = null;
      pause = Math.min(pauseMax, pause * 2);
    }
  }

  async #dial(client: NatsClient): Promise<ClientConnection> {
    const { target: { servers, user, pass }, options } = this.#terms;
    const { connection, prefix: _prefix, port: _port, ...given } = options;
    if (connection) return connection as ClientConnection;
    const dialing = this.#dialing = new AbortController();
    const dialled = connectClient(client, {
      timeout: dialMilliseconds,
      noAsyncTraces: true,
      name: "tandem",
      ...(user !== undefined && (pass === undefined ? { token: user } : { user, pass })),
      ...given,
      servers: [...new Set([...servers, ...this.#told])],
      // This class connects again, without limits and without timers that keep the process alive. The client
      // would lose what is published meanwhile, and give up.
      reconnect: false,
      waitOnFirstConnect: false,
      // Pings come from here, too.
      pingInterval: 2 ** 31 - 1,
    }, dialing.signal);
    try {
      return await dialled;
    } finally {
      this.#dialing = null;
    }
  }

  /** Uses a connection until it is lost; returns why it was. */
  async #use(connection: ClientConnection): Promise<unknown> {
    const isOwn = this.#terms.options.connection === undefined;
    this.#connection = connection;
    for (const subscription of this.#subscriptions) this.#attach(subscription);
    if (isOwn) {
      unrefPings(connection);
      this.#ping(connection);
    }
    this.#up();
    void this.#watch(connection);
    return await connection.closed();
  }

  #up(): void {
    const info = this.#connection?.info;
    this.maxPayload = info?.max_payload ?? payloadDefault;
    if (this.#terms.options["ignoreClusterUpdates"] !== true) {
      this.#told = info?.connect_urls ?? this.#told;
    }
    this.#isUp = true;
    this.wasUp = true;
    this.#obstacle = null;
    for (const { subject, data, headers, until } of this.#delayed.splice(0)) {
      if (now() >= until) continue;
      try {
        this.#publish(subject, data, undefined, headers);
      } catch {
        // This server takes shorter messages only; or it is lost already, which this class is about to hear.
      }
    }
    for (const waiter of [...this.#waiters]) waiter.resolve();
  }

  /** Never rejects. */
  async #watch(connection: ClientConnection): Promise<void> {
    const isOwn = this.#terms.options.connection === undefined;
    try {
      for await (const { type, error } of connection.status()) {
        if (this.#isClosed || this.#connection !== connection) return;
        if (type === "error" && error) this.#refused(error);
        else if (!isOwn && type === "disconnect") this.#down(undefined);
        else if (!isOwn && type === "reconnect") this.#up();
      }
    } catch {
      // The connection is closed, which `closed` tells.
    }
  }

  #refused(error: Error): void {
    const { operation, subject } = error as { operation?: string; subject?: string };
    if (operation !== "publish" || subject === undefined) return;
    const refusal = notAllowed("publish to", subject, error);
    for (const numbered of [...this.#numbered.values()]) numbered.refused?.(subject, refusal);
  }

  #ping(connection: ClientConnection): void {
    let unanswered = 0;
    const again = () => {
      this.#cancelPing = later(pingMilliseconds, () => {
        // Counted, because this process may have been stopped meanwhile.
        if (unanswered === 2) return void connection.close();
        unanswered += 1;
        connection.flush().then(() => void (unanswered = 0), () => {});
        again();
      });
    };
    again();
  }

  /** The connection is lost. */
  #down(failure: unknown): void {
    this.#cancelPing?.();
    this.#cancelPing = null;
    this.#isUp = false;
    const isOwn = this.#terms.options.connection === undefined;
    if (isOwn) {
      // An error of this class may have ended its use.
      void this.#connection?.close().catch(() => {});
      this.#connection = null;
      for (const subscription of this.#subscriptions) subscription.client = null;
    }
    this.#obstacle = obstacleOf(this.place, failure);
    const lost = disconnected(this.place, "it was lost");
    for (const fail of [...this.#flushes]) fail(lost);
    const unknown = unknownOutcome(this.place);
    for (const numbered of [...this.#numbered.values()]) guarded(() => numbered.lost?.(unknown));
  }

  /** There will be no connection. */
  #fail(error: TandemError): void {
    this.isOver = true;
    this.#obstacle = error;
    this.#isUp = false;
    this.#onClosed();
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    for (const subscription of [...this.#subscriptions]) {
      if (subscription.subject !== `${this.inbox}.*`) guarded(() => subscription.refuse(error));
    }
    // The server may have refused the inbox after requests were sent: they get no answer. And what waits in a queue
    // does not outlive a given connection.
    const ofSent = error.code === "CLOSED" ? unknownOutcome(this.place) : error;
    for (const numbered of [...this.#numbered.values()]) guarded(() => numbered.lost?.(ofSent));
  }

  #attach(subscription: LinkSubscription): void {
    const { subject, queue } = subscription;
    const callback = (error: Error | null, message: ClientMessage) => {
      if (error) {
        subscription.client = null;
        return guarded(() => subscription.refuse(notAllowed("subscribe to", subject, error)));
      }
      guarded(() => subscription.take(plain(message.data), message));
    };
    const options = queue === undefined ? { callback } : { queue, callback };
    subscription.client = this.#connection!.subscribe(subject, options);
  }

  /** Subscribes, now if it is up, and again after each loss. */
  subscribe(subscription: LinkSubscription): void {
    this.#subscriptions.add(subscription);
    if (this.#connection && !this.#connection.isClosed()) this.#attach(subscription);
  }

  /** Ends a subscription at once. */
  unsubscribe(subscription: LinkSubscription): void {
    this.#subscriptions.delete(subscription);
    const { client } = subscription;
    subscription.client = null;
    if (client && !this.#connection?.isClosed()) client.unsubscribe();
  }

  /** Ends a subscription; messages that are on the way still arrive before the promise resolves. Never rejects. */
  async drain(subscription: LinkSubscription): Promise<void> {
    this.#subscriptions.delete(subscription);
    const { client } = subscription;
    subscription.client = null;
    if (!client || !this.#isUp) return;
    try {
      await this.#orLost(client.drain());
    } catch {
      // Nothing is on the way any more.
    }
  }

  /**
   * Resolves when the server has read what was published and subscribed.
   *
   * @throws {TandemError} `DISCONNECTED`
   */
  async flush(): Promise<void> {
    this.check();
    await this.#orLost(this.#connection!.flush());
  }

  async #orLost(answered: Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    this.#flushes.add(reject);
    answered.catch(() => {});
    try {
      await Promise.race([answered, promise]);
    } finally {
      this.#flushes.delete(reject);
    }
  }

  /** A number under which messages arrive from now on. */
  add(numbered: Numbered): number {
    const number = this.#lastNumber += 1;
    this.#numbered.set(number, numbered);
    if (this.#cancelTick === null && numbered.tick) this.#tickLater();
    return number;
  }

  remove(number: number): void {
    this.#numbered.delete(number);
  }

  /** The subject at which the messages for a number arrive. */
  subjectOf(number: number): string {
    return `${this.inbox}.${number.toString(36)}`;
  }

  #tickLater(): void {
    this.#cancelTick = later(punctuality * tickMilliseconds, () => {
      this.#cancelTick = null;
      let ticks = false;
      for (const numbered of [...this.#numbered.values()]) {
        if (!numbered.tick) continue;
        ticks = true;
        guarded(() => numbered.tick!());
      }
      if (ticks && !this.#isClosed && this.#cancelTick === null) this.#tickLater();
    });
  }

  #arrived(data: Bytes, message: ClientMessage): void {
    const { subject } = message;
    const number = parseInt(subject.slice(this.inbox.length + 1), 36);
    if (number > 0) return this.#numbered.get(number)?.arrived(data, message);
    if (frameKind(data) !== Frame.working) return;
    const unknown: number[] = [];
    for (const call of readWorking(data)) {
      const numbered = this.#numbered.get(call);
      if (numbered) numbered.heard?.(message.reply);
      else unknown.push(call);
    }
    if (unknown.length > 0) this.#unwanted(unknown, message.reply);
  }

  /**
   * A service works on calls for which nobody waits any more. While the link was lost, it could not be told; and this
   * side listens again, so the server does not tell it either.
   */
  #unwanted(calls: readonly number[], control: string | undefined): void {
    if (control !== undefined) this.answer(control, cancelFrame(this.inbox, calls));
  }

  /**
   * Publishes a message.
   *
   * @throws {TandemError} `DISCONNECTED`; `PERMISSION`
   */
  publish(
    subject: string,
    data: Uint8Array,
    reply?: string,
    headers?: Readonly<Record<string, string>>,
  ): void {
    this.check();
    this.#publish(subject, data, reply, headers);
  }

  /**
   * As {@linkcode publish}, but waits for a link that is lost, as long as a caller may wait. Never throws. To a subject
   * that begins with `$`, nothing is sent: what the server itself reads would be done with the rights of this program, not
   * of the one that has asked.
   */
  answer(
    subject: string,
    data: Uint8Array,
    headers?: Readonly<Record<string, string>>,
  ): void {
    if (this.#isClosed || this.isOver || subject.startsWith("$")) return;
    if (this.#isUp) {
      try {
        return this.#publish(subject, data, undefined, headers);
      } catch {
        // It has just been lost, which this class is about to hear.
      }
    }
    const time = now();
    this.#delayed = this.#delayed.filter(({ until }) => until > time);
    this.#delayed.push({ subject, data, headers, until: time + answerMilliseconds });
  }

  #publish(
    subject: string,
    data: Uint8Array,
    reply: string | undefined,
    headers: Readonly<Record<string, string>> | undefined,
  ): void {
    try {
      if (headers) {
        const sent = this.#client!.headers();
        for (const [name, value] of Object.entries(headers)) sent.set(name, value);
        const options = reply === undefined ? { headers: sent } : { reply, headers: sent };
        return this.#connection!.publish(subject, data, options);
      }
      this.#connection!.publish(subject, data, reply === undefined ? undefined : { reply });
    } catch (error) {
      // It has just been closed, which this class is about to hear.
      throw new TandemError(
        "DISCONNECTED",
        `Cannot send a message through NATS (${this.place}): ${textOf(error)}`,
        { cause: error },
      );
    }
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClosed();
    this.#cancelTick?.();
    this.#cancelPing?.();
    this.#cancelPause?.();
    this.#dialing?.abort();
    const error = new TandemError("CLOSED", "The link to NATS is closed");
    for (const waiter of [...this.#waiters]) waiter.reject(error);
    for (const fail of [...this.#flushes]) fail(error);
    const connection = this.#connection;
    // It may still be connecting.
    if (!this.#terms.options.connection) noteFarewell(this.#running);
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.isOver = true;
    this.#obstacle = error;
    for (const numbered of [...this.#numbered.values()]) guarded(() => numbered.lost?.(error));
    if (!connection) return;
    if (this.#terms.options.connection) {
      for (const { client } of this.#subscriptions) {
        if (client && !connection.isClosed()) client.unsubscribe();
      }
      return;
    }
    void this.#farewell(connection, wasUp);
  }

  /** Sends the rest, then closes the connection. The process stays alive until then. Never rejects. */
  #farewell(connection: ClientConnection, wasUp: boolean): Promise<void> {
    const bye = (async () => {
      const release = keepAlive();
      const over = Promise.withResolvers<void>();
      const cancel = laterForSure(farewellMilliseconds, over.resolve);
      try {
        if (wasUp) await Promise.race([connection.flush(), over.promise]);
        await connection.close();
      } catch {
        // It is closed already.
      } finally {
        cancel();
        release();
      }
    })();
    noteFarewell(bye);
    return bye;
  }
}

/** A view of a message as bytes without the methods of a Buffer, whose `slice` does not copy. */
function plain(data: Uint8Array): Bytes {
  if (data.constructor === Uint8Array) return data as Bytes;
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** One message must not harm the others. */
function guarded(action: () => void): void {
  try {
    action();
  } catch (error) {
    report(guarded, "an end of a nats:// target", error);
  }
}

function disconnected(place: string, why: string, cause?: unknown): TandemError {
  return new TandemError(
    "DISCONNECTED",
    `Cannot reach NATS (${place}): ${why}; nothing was sent; the package goes on trying`,
    cause === undefined ? undefined : { cause },
  );
}

/** For requests that were sent. */
function unknownOutcome(place: string): TandemError {
  return new TandemError(
    "UNKNOWN_OUTCOME",
    `Cannot get an answer: the link to NATS (${place}) was lost after the request was sent; it may or may ` +
      "not have been done",
  );
}

function ownConnectionClosed(failure: unknown): TandemError {
  const why = failure ? ` (${textOf(failure)})` : "";
  return new TandemError(
    "CLOSED",
    `Cannot use nats.connection: it is closed${why}; make another one, and give it to new ends`,
    failure ? { cause: failure } : undefined,
  );
}

const loginErrors: ReadonlySet<string> = new Set([
  "AuthorizationError",
  "UserAuthenticationExpiredError",
]);

/** How runtimes name what is wrong with a certificate. */
const certificateError = /^(?:CERT_|DEPTH_ZERO_|ERR_SSL_|ERR_TLS_|SELF_SIGNED_|UNABLE_TO_)/;

function obstacleOf(place: string, failure: unknown): TandemError {
  if (failure instanceof TandemError) return failure;
  const { name, code } = Object(failure) as { name?: string; code?: unknown };
  if (certificateError.test(String(code))) {
    return new TandemError(
      "PERMISSION",
      `Cannot reach NATS (${place}): the certificates do not fit (${
        textOf(failure)
      }); give caFile, and certFile and ` +
        "keyFile if the server wants them, in options.nats.tls",
      { cause: failure },
    );
  }
  if (name !== undefined && loginErrors.has(name)) {
    return new TandemError(
      "PERMISSION",
      `Cannot reach NATS (${place}): the server refused the login (${
        textOf(failure)
      }); give user and pass, a ` +
        "token or an authenticator in options.nats",
      { cause: failure },
    );
  }
  return disconnected(place, failure ? textOf(failure) : "the link was lost", failure);
}

function notAllowed(verb: string, subject: string, cause: Error): TandemError {
  return new TandemError(
    "PERMISSION",
    `Cannot ${verb} ${JSON.stringify(subject)}: the NATS server does not allow it to this user`,
    { cause },
  );
}
