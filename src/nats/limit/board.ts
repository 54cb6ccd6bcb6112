/**
 * What this process knows of a limit that many machines share, and how it changes it.
 *
 * The limit is one value of a key-value bucket, which is replaced only if it still is what it was; and a value for
 * each contender, its lease, which the server removes when it is not renewed. The server tells of all changes.
 *
 * @module
 */
import { codeOf } from "../../base/guard.ts";
import type { NatsOptions } from "../../base/nats_options.ts";
import { TandemError } from "../../errors.ts";
import { later } from "../../runtime/timers.ts";
import type { Bytes } from "../../transport/transport.ts";
import type { ClientMessage } from "../client.ts";
import { acquireLink, type Link, LinkSubscription, tickMilliseconds } from "../link.ts";
import { pauseUpTo } from "../pauses.ts";
import { type NatsTarget, parseTarget, prefixOf, withoutLogin } from "../target.ts";
import { bucketOf, ensureBucket, streamOf } from "./bucket.ts";
import {
  ErrorNumber,
  isFull,
  isRefusal,
  isRemoval,
  JetStream,
  RefusedRequest,
} from "../jetstream.ts";
import { type LeaseStore, storeLease } from "./lease.ts";
import { leave, readState, type State } from "./state.ts";

/** How often the server shows that it still tells of changes, in milliseconds. */
const heartbeatMilliseconds = 2_000;
/** After so many without a sign, the watch begins anew. */
const silentMax = 3;
/** Pauses before it does. */
const pauseMin = 50;
const pauseMax = 2_000;
/** How often somebody else may be faster, before a change gives up. */
const conflictsMax = 1_000;
/** After so many, it pauses for a random time, up to so many milliseconds for each. */
const conflictsAtOnce = 3;
const conflictPause = 5;
/** How often the bucket may be gone in the middle of a change. */
const absencesMax = 3;
/** How long removed leases stay known, in seconds. */
const removalSeconds = 60;

/** A change of the limit: what it is from now on, null if it stays as it is; and what comes of it. */
export interface Change<R> {
  readonly state: State | null;
  readonly result: R;
}

/** Whose board it is. */
export interface BoardOwner {
  /** The limit has changed, or the link is back. */
  changed(): void;
}

interface Waiter {
  /** Whether it waits although the server cannot be reached. */
  isPatient(): boolean;
  resolve(): void;
  reject(error: unknown): void;
}

/** What the server has told since a watch began. */
interface Snapshot {
  state: State | null;
  revision: number;
  readonly leases: Set<string>;
}

export class Board implements LeaseStore {
  /** The target, for messages. */
  readonly name: string;
  readonly #owner: BoardOwner;
  readonly #target: NatsTarget;
  readonly #options: NatsOptions;
  readonly #bucket: string;
  /** All keys of the limit are below it. */
  readonly #subject: string;
  #link: Link | null = null;
  #jetStream: JetStream | null = null;
  /** The number under which the link tells of its loss. */
  #number = 0;
  #isRunning = false;
  readonly #closing: AbortController = new AbortController();
  #endWatch: ((error: unknown) => void) | null = null;
  #reading: Reading | null = null;
  #endPause: (() => void) | null = null;
  /** When the bucket was made: if it is made anew, its numbers begin again. */
  #created = "";
  #isReady = false;
  #failure: unknown = null;
  readonly #waiters: Set<Waiter> = new Set();
  #state: State | null = null;
  #revision = 0;
  #leases: Set<string> = new Set();

  /** @throws {TypeError} for an invalid target or prefix */
  constructor(target: string, options: NatsOptions, owner: BoardOwner) {
    this.name = JSON.stringify(withoutLogin(target));
    this.#owner = owner;
    this.#target = parseTarget(target);
    this.#options = options;
    this.#bucket = bucketOf(prefixOf(options));
    this.#subject = `$KV.${this.#bucket}.${this.#target.token}`;
    this.#start();
  }

  /** Null: nobody has used the limit yet, or its value was removed. */
  get state(): State | null {
    return this.#state;
  }

  /** Whether it knows the limit as the server has it, but for what is on the way. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Why it does not know the limit; null: it has not heard yet. */
  get failure(): unknown {
    return this.#failure;
  }

  /**
   * Resolves when it knows the limit.
   *
   * @param isPatient whether to wait although the server cannot be reached
   * @throws {TandemError} `DISCONNECTED`, `PERMISSION`, `UNSUPPORTED` and others
   */
  ready(isPatient: () => boolean): Promise<void> {
    if (this.#isReady) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#start();
    if (this.isClosed) reject(closed(this.name));
    else if (this.#failure !== null && !isPatient()) reject(this.#failure);
    else this.#waiters.add({ isPatient, resolve, reject });
    return promise;
  }

  /** Some may be patient no longer. */
  hurry(): void {
    if (this.#failure === null) return;
    for (const waiter of [...this.#waiters]) {
      if (waiter.isPatient()) continue;
      this.#waiters.delete(waiter);
      waiter.reject(this.#failure);
    }
  }

  #start(): void {
    if (this.#isRunning || this.isClosed) return;
    this.#isRunning = true;
    this.#failure = null;
    void this.#run();
  }

  /** Watches, and watches again, until it is closed or there is no hope. Never rejects. */
  async #run(): Promise<void> {
    let pause = pauseMin;
    while (!this.isClosed) {
      const wasReady = await this.#watch();
      this.#isReady = false;
      if (this.isClosed) break;
      if (!isTemporary(this.#failure)) {
        this.#failAll(this.#failure);
        break;
      }
      this.hurry();
      if (wasReady) pause = pauseMin;
      await new Promise<void>((resolve) => {
        const cancel = later(pause * (0.5 + Math.random() / 2), resolve);
        this.#endPause = () => {
          cancel();
          resolve();
        };
      });
      this.#endPause = null;
      pause = Math.min(pauseMax, pause * 2);
    }
    this.#isRunning = false;
    this.#leaveLink();
    if (this.isClosed) this.#failAll(closed(this.name));
  }

  #failAll(error: unknown): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.reject(error);
  }

  /** Watches until that ends, and notes why. Never rejects. */
  async #watch(): Promise<boolean> {
    let wasReady = false;
    let subscription: LinkSubscription | null = null;
    const link = this.#useLink();
    const ending = Promise.withResolvers<never>();
    ending.promise.catch(() => {});
    try {
      await this.#opened(link);
      // Attempts to connect that have failed before do not end what begins now.
      this.#endWatch = ending.reject;
      const jetStream = this.#jetStream!;
      const created = await ensureBucket(link, jetStream, this.#bucket);
      const reading = new Reading(this.#subject, this.name, {
        told: (snapshot) => {
          wasReady = true;
          this.#become(snapshot, created);
        },
        changed: (key, sequence, data) => this.#apply(key, sequence, data),
        broken: ending.reject,
      });
      const inbox = `${link.inbox}.watch.${crypto.randomUUID()}`;
      subscription = new LinkSubscription(
        inbox,
        undefined,
        (data, message) => reading.take(data, message),
        ending.reject,
      );
      link.subscribe(subscription);
      const { num_pending } = await jetStream.ask(`CONSUMER.CREATE.${streamOf(this.#bucket)}`, {
        stream_name: streamOf(this.#bucket),
        config: {
          deliver_subject: inbox,
          deliver_policy: "last_per_subject",
          ack_policy: "none",
          max_deliver: 1,
          filter_subject: `${this.#subject}.>`,
          idle_heartbeat: heartbeatMilliseconds * 1e6,
          mem_storage: true,
          num_replicas: 1,
        },
      });
      reading.begin(num_pending as number);
      this.#reading = reading;
      await ending.promise;
    } catch (error) {
      this.#failure = error instanceof RefusedRequest ? refused(this.name, error) : error;
    } finally {
      this.#reading = null;
      this.#endWatch = null;
      if (subscription) link.unsubscribe(subscription);
    }
    return wasReady;
  }

  #useLink(): Link {
    if (this.#link) return this.#link;
    const link = this.#link = acquireLink({ target: this.#target, options: this.#options });
    this.#jetStream = new JetStream(link);
    let ticks = 0;
    this.#number = link.add({
      arrived: () => {},
      lost: () => {
        this.#isReady = false;
        // Also after an attempt to connect that has failed.
        this.#failure = link.obstacle;
        this.#endWatch?.(link.obstacle);
        this.hurry();
      },
      // Counted, because this process may have been stopped meanwhile.
      tick: () => {
        ticks += 1;
        if (ticks * tickMilliseconds % heartbeatMilliseconds === 0) this.#reading?.pulse();
      },
    });
    return link;
  }

  #leaveLink(): void {
    const link = this.#link;
    if (!link) return;
    this.#link = null;
    link.remove(this.#number);
    link.release();
  }

  /** Resolves when the link is up. A link that is lost comes back by itself. */
  async #opened(link: Link): Promise<void> {
    const { obstacle } = link;
    if (obstacle && !isTemporary(obstacle)) throw obstacle;
    await link.opened(this.#closing.signal);
  }

  /** The watch knows all that is stored. */
  #become(snapshot: Snapshot, created: string): void {
    const isSameBucket = created === this.#created;
    this.#created = created;
    if (!isSameBucket || snapshot.revision >= this.#revision) {
      this.#state = snapshot.state;
      this.#revision = snapshot.revision;
      // The watch may come from a server that is behind, or the storage has lost something: the leader knows.
    } else void this.#fetch().catch(() => {});
    this.#leases = snapshot.leases;
    this.#isReady = true;
    this.#failure = null;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.resolve();
    this.#owner.changed();
  }

  /** @param data null: it was removed */
  #apply(key: string, sequence: number, data: Bytes | null): void {
    if (key === stateKey) {
      if (!this.#note(sequence, data && readState(data, this.name))) return;
    } else if (data) {
      this.#leases.add(leaseOf(key));
    } else {
      this.#leases.delete(leaseOf(key));
    }
    this.#owner.changed();
  }

  #note(revision: number, state: State | null): boolean {
    if (revision <= this.#revision) return false;
    this.#revision = revision;
    this.#state = state;
    return true;
  }

  /**
   * Changes the limit. `change` may run several times, because others change it, too.
   *
   * @throws what `change` throws, when it has seen the latest state; {@linkcode TandemError}
   */
  async change<R>(change: (state: State | null) => Change<R>): Promise<R> {
    let isLatest = false;
    let absences = 0;
    for (let conflicts = 0; conflicts < conflictsMax; conflicts++) {
      if (conflicts > conflictsAtOnce) await pauseUpTo(conflicts * conflictPause);
      const revision = this.#revision;
      let made: Change<R>;
      try {
        made = change(this.#state);
      } catch (error) {
        if (isLatest) throw error;
        isLatest = await this.#fetch();
        continue;
      }
      const { state, result } = made;
      if (state === null && isLatest) return result;
      if (state !== null) {
        try {
          const sequence = await this.#store(state, revision);
          if (sequence !== null) {
            if (this.#note(sequence, state)) this.#owner.changed();
            return result;
          }
        } catch (error) {
          // The bucket was removed, or has no leader for a moment.
          const isGone = isRefusal((error as Error).cause, ErrorNumber.unheard);
          if (!isGone || ++absences > absencesMax) throw error;
          await ensureBucket(this.#link!, this.#jetStream!, this.#bucket);
        }
      }
      isLatest = await this.#fetch();
    }
    throw new TandemError(
      "BUSY",
      `Cannot change the limit ${this.name}: others keep changing it; try again`,
    );
  }

  #store(state: State, revision: number): Promise<number | null> {
    const data = new TextEncoder().encode(JSON.stringify(state));
    const { jetStream, link } = this.#connected();
    if (data.byteLength > link.maxPayload) {
      throw new TandemError(
        "BUSY",
        `Cannot change the limit ${this.name}: with ${state.entries.length} contenders, it does not fit into a message ` +
          `of NATS (${link.maxPayload} bytes)`,
      );
    }
    return translated(this.name, jetStream.store(`${this.#subject}.${stateKey}`, data, revision));
  }

  /** Asks for the latest state. */
  async #fetch(): Promise<true> {
    const before = this.#revision;
    const { jetStream } = this.#connected();
    const found = await translated(
      this.name,
      jetStream.last(streamOf(this.#bucket), `${this.#subject}.${stateKey}`),
    );
    if (found) {
      const { sequence, data, isRemoval } = found;
      const state = isRemoval ? null : readState(data, this.name);
      const isLost = sequence < before && before === this.#revision;
      if (isLost) this.#revision = 0;
      const isNew = this.#note(sequence, isLost ? withToken(state, this.#state) : state);
      if (isNew) this.#owner.changed();
    } else if (before !== 0 && before === this.#revision) {
      this.#revision = 0;
      this.#state = null;
      this.#owner.changed();
    }
    return true;
  }

  /** @throws {TandemError} `DISCONNECTED` */
  #connected(): { link: Link; jetStream: JetStream } {
    if (this.#link && this.#jetStream) return { link: this.#link, jetStream: this.#jetStream };
    throw new TandemError(
      "DISCONNECTED",
      `Cannot use the limit ${this.name}: the link to NATS is closed`,
    );
  }

  async keepLease(id: string, last: number, seconds: number): Promise<number | null> {
    const { jetStream } = this.#connected();
    const place = { stream: streamOf(this.#bucket), subject: `${this.#subject}.${leaseKey(id)}` };
    const number = await translated(this.name, storeLease(jetStream, place, last, seconds));
    if (number !== null) this.#leases.add(id);
    return number;
  }

  async removeLease(id: string): Promise<void> {
    const { jetStream } = this.#connected();
    const subject = `${this.#subject}.${leaseKey(id)}`;
    await translated(this.name, jetStream.remove(subject, removalSeconds));
  }

  /** Contenders of whose lease this process has not heard, or has heard that it is over. */
  suspects(): string[] {
    const entries = this.#state?.entries ?? [];
    return entries.map(({ id }) => id).filter((id) => !this.#leases.has(id));
  }

  /** Those whose lease is over, as the server itself says. */
  async theDead(suspects: readonly string[]): Promise<Set<string>> {
    const dead = new Set<string>();
    for (const id of suspects) {
      const { jetStream } = this.#connected();
      const subject = `${this.#subject}.${leaseKey(id)}`;
      const found = await translated(this.name, jetStream.last(streamOf(this.#bucket), subject));
      if (found && !found.isRemoval) this.#leases.add(id);
      else dead.add(id);
    }
    return dead;
  }

  /** Removes contenders whose lease is over. */
  async sweep(suspects: readonly string[], time: number): Promise<void> {
    const dead = await this.theDead(suspects);
    if (dead.size === 0) return;
    await this.change((state) => ({ state: leave(state, dead, time), result: undefined }));
  }

  close(): void {
    if (this.isClosed) return;
    this.#closing.abort(closed(this.name));
    this.#endWatch?.(closed(this.name));
    this.#endPause?.();
    if (!this.#isRunning) this.#leaveLink();
  }
}

/** What a server has left that has lost its last messages. Tokens that were given must not be given again. */
function withToken(state: State | null, known: State | null): State | null {
  return state && known && BigInt(known.token) > BigInt(state.token)
    ? { ...state, token: known.token }
    : state;
}

const stateKey = "state";

function leaseKey(id: string): string {
  return `lease.${id}`;
}

function leaseOf(key: string): string {
  return key.slice("lease.".length);
}

interface ReadingOwner {
  /** All that was stored is there. */
  told(snapshot: Snapshot): void;
  /** @param data null: it was removed */
  changed(key: string, sequence: number, data: Bytes | null): void;
  broken(error: unknown): void;
}

/** What a consumer of the server tells: first what is stored, then each change. */
class Reading {
  readonly #subject: string;
  readonly #name: string;
  readonly #owner: ReadingOwner;
  readonly #snapshot: Snapshot = { state: null, revision: 0, leases: new Set() };
  #isTold = false;
  #hasBegun = false;
  /** How many messages are still to come; null: none has come. */
  #pending: number | null = null;
  #delivered = 0;
  #silent = 0;

  constructor(subject: string, name: string, owner: ReadingOwner) {
    this.#subject = subject;
    this.#name = name;
    this.#owner = owner;
  }

  /** The consumer is there; so many messages were stored. */
  begin(pending: number): void {
    this.#hasBegun = true;
    this.#pending ??= pending;
    this.#tell();
  }

  #tell(): void {
    if (this.#isTold || !this.#hasBegun || this.#pending !== 0) return;
    this.#isTold = true;
    this.#owner.told(this.#snapshot);
  }

  take(data: Bytes, message: ClientMessage): void {
    try {
      this.#take(data, message);
    } catch (error) {
      this.#owner.broken(error);
    }
  }

  #take(data: Bytes, { subject, reply, headers }: ClientMessage): void {
    this.#silent = 0;
    if (headers && headers.code > 0) {
      const last = Number(headers.get("Nats-Last-Consumer") || this.#delivered);
      if (headers.code !== 100 || last > this.#delivered) {
        this.#owner.broken(interrupted(this.#name));
      }
      return;
    }
    const { sequence, delivered, pending } = readReply(reply ?? "");
    if (delivered !== this.#delivered + 1) return this.#owner.broken(interrupted(this.#name));
    this.#delivered = delivered;
    this.#pending = pending;
    const key = subject.slice(this.#subject.length + 1);
    const value = headers && isRemoval((name) => headers.get(name)) ? null : data;
    if (this.#isTold) return this.#owner.changed(key, sequence, value);
    if (key === stateKey) {
      this.#snapshot.revision = sequence;
      this.#snapshot.state = value && readState(value, this.#name);
    } else if (value) {
      this.#snapshot.leases.add(leaseOf(key));
    } else {
      this.#snapshot.leases.delete(leaseOf(key));
    }
    this.#tell();
  }

  /** Time has passed in which the server should have shown a sign. */
  pulse(): void {
    this.#silent += 1;
    if (this.#silent > silentMax) this.#owner.broken(interrupted(this.#name));
  }
}

/** The numbers in the subject to which a message would be acknowledged. */
function readReply(reply: string): { sequence: number; delivered: number; pending: number } {
  const parts = reply.split(".");
  // Newer servers may add the domain and the account.
  const start = parts.length === 9 ? 5 : 7;
  const [sequence, delivered, , pending] = parts.slice(start).map(Number);
  if (!(sequence! > 0)) throw new Error(`an unknown form of messages: ${reply}`);
  return { sequence: sequence!, delivered: delivered!, pending: pending! };
}

/** Turns what the server has refused into an error for users. */
async function translated<T>(name: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof RefusedRequest ? refused(name, error) : error;
  }
}

function refused(name: string, error: RefusedRequest): TandemError {
  const { code, description } = error.refusal;
  // In a cluster, a server may be about to take over. A removed bucket is made anew.
  const isTemporary = (code === 503 || code === 404) && !isFull(error.refusal);
  return new TandemError(
    isTemporary ? "DISCONNECTED" : "NO_SPACE",
    `Cannot use the limit ${name}: the NATS server says ${JSON.stringify(description ?? code)}`,
    { cause: error },
  );
}

function interrupted(name: string): TandemError {
  return new TandemError(
    "DISCONNECTED",
    `Cannot watch the limit ${name}: messages of NATS were lost`,
  );
}

function closed(name: string): TandemError {
  return new TandemError("CLOSED", `Cannot use the limit ${name}: it is closed`);
}

/** Whether it may get better by itself. */
export function isTemporary(error: unknown): boolean {
  const code = codeOf(error);
  return code === undefined || code === "DISCONNECTED" || code === "UNKNOWN_OUTCOME";
}
