/**
 * The log records of a worker, on their way to its supervisor.
 *
 * @module
 */
import { callContext } from "../../rpc/context.ts";
import { deliveryOf } from "../../rpc/call_contexts.ts";
import { later, wallClock } from "../../runtime/timers.ts";
import type { Delivery } from "../../transport/transport.ts";
import { type Report, reserved, type SentRecord } from "../link/control.ts";
import { inspected, shortened } from "../link/formatting.ts";
import type { Outbox } from "../link/post.ts";
import type { LogLevel, LogTimer } from "../types.ts";

/** What a log needs to know of the worker. */
export interface LogHome {
  /** A name for a call, by which people tell the calls of a worker apart. */
  idOf(delivery: Delivery): string;
  /** The session that holds the worker; null: none does. */
  session(): string | null;
}

/** What is kept of a call. */
interface CallState {
  /** Those that no record has taken along yet. */
  timers: LogTimer[];
  readonly call: SentRecord["call"];
  readonly session: string | null;
}

/** How long texts are that stand for a record or a property that cannot be sent, in UTF-16 units. */
const messageMax = 64 * 1024;
const propertyMax = 4 * 1024;
/** How soon the supervisor is told that records were dropped, if no further record says so, in milliseconds. */
const noteDelay = 100;

const reservedNames: ReadonlySet<string> = new Set(Object.values(reserved));

export class WorkerLog {
  readonly #outbox: Outbox<Report>;
  readonly #home: LogHome;
  readonly #states: WeakMap<Delivery, CallState> = new WeakMap();
  /** Calls whose timers wait for a record. */
  readonly #timed: Set<Delivery> = new Set();
  #dropped = 0;
  #hasNoteDue = false;

  constructor(outbox: Outbox<Report>, home: LogHome) {
    this.#outbox = outbox;
    this.#home = home;
  }

  /** Writes a record. Never throws, and never waits: if the supervisor does not read, it counts the record. */
  write(
    level: LogLevel,
    message: string,
    properties: Readonly<Record<string, unknown>> = {},
  ): void {
    const { delivery, call, session } = this.#place();
    const timers = delivery ? this.#takeTimers(delivery) : [];
    this.#send({ level, message, properties, time: wallClock(), call, session, timers });
  }

  /** Adds a timer to the next record of the running call, or writes a record with it when the call has ended. */
  addTimer(timer: LogTimer): void {
    const { delivery, call, session } = this.#place();
    // The body of a generator runs when its call was answered.
    if (!delivery || delivery.isAnswered) return this.#sendTimers([timer], call, session);
    this.#states.get(delivery)!.timers.push(timer);
    this.#timed.add(delivery);
  }

  /** The call has ended: no record takes its timers along any more. */
  callEnded(delivery: Delivery): void {
    if (!this.#timed.has(delivery)) return;
    const { call, session } = this.#states.get(delivery)!;
    this.#sendTimers(this.#takeTimers(delivery), call, session);
  }

  #place(): Pick<SentRecord, "call" | "session"> & { readonly delivery: Delivery | undefined } {
    const context = callContext();
    const delivery = context && deliveryOf(context);
    if (!delivery || reservedNames.has(context.method)) {
      return { delivery: undefined, call: null, session: this.#home.session() };
    }
    const known = this.#states.get(delivery);
    if (known) return { delivery, call: known.call, session: known.session };
    const call = { id: this.#home.idOf(delivery), method: context.method };
    const session = this.#home.session();
    this.#states.set(delivery, { timers: [], call, session });
    return { delivery, call, session };
  }

  #takeTimers(delivery: Delivery): LogTimer[] {
    if (!this.#timed.delete(delivery)) return [];
    const state = this.#states.get(delivery)!;
    const { timers } = state;
    state.timers = [];
    return timers;
  }

  #sendTimers(
    timers: readonly LogTimer[],
    call: SentRecord["call"],
    session: string | null,
  ): void {
    const message = timers.map(timerText).join(", ");
    const record = { message, properties: {}, time: wallClock(), call, session, timers };
    this.#send({ level: "debug", ...record });
  }

  #send(record: SentRecord): void {
    try {
      this.#offer(record);
    } catch {
      try {
        this.#offer(this.#described(record));
      } catch {
        // The channel is damaged, or this worker is ending.
      }
    }
  }

  #offer(record: SentRecord): void {
    if (this.#dropped > 0) this.#note();
    const isDropped = this.#dropped > 0 ||
      !this.#outbox.offer({ kind: "log", records: [record] });
    if (!isDropped) return;
    this.#dropped += 1;
    this.#noteLater();
  }

  /** Says how many records were dropped, if there is room for that. */
  #note(): void {
    const count = this.#dropped;
    const record: SentRecord = {
      level: "warning",
      message: `${count} log record${count === 1 ? " was" : "s were"} dropped, because the pool ` +
        "has not read them in time",
      properties: { dropped: count },
      time: wallClock(),
      call: null,
      session: null,
      timers: [],
    };
    if (this.#outbox.offer({ kind: "log", records: [record] })) this.#dropped = 0;
  }

  #noteLater(): void {
    if (this.#hasNoteDue) return;
    this.#hasNoteDue = true;
    later(noteDelay, () => {
      this.#hasNoteDue = false;
      try {
        if (this.#dropped > 0) this.#note();
        if (this.#dropped > 0) this.#noteLater();
      } catch {
        // As in `#send`.
      }
    });
  }

  /** The record with texts in the place of what cannot be sent. */
  #described(record: SentRecord): SentRecord {
    const properties: Record<string, unknown> = {};
    for (const name of namesIn(record.properties)) {
      properties[name] = this.#sendable(() => record.properties[name]);
    }
    return { ...record, message: shortened(record.message, messageMax), properties };
  }

  #sendable(read: () => unknown): unknown {
    let value: unknown;
    try {
      value = read();
      if (this.#outbox.canSend(value, messageMax)) return value;
    } catch (error) {
      // A getter of the program has thrown it.
      value = error;
    }
    return inspected(value, propertyMax);
  }
}

/** Never throws. */
function namesIn(properties: object): readonly string[] {
  try {
    return Object.keys(properties);
  } catch {
    return [];
  }
}

/** A timer as text. */
export function timerText({ name, duration }: LogTimer): string {
  return `${name}: ${duration.toFixed(1)} ms`;
}
