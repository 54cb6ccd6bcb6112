/**
 * From a message to a method, and from its result to an answer.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { codeOf, isThenable } from "../base/guard.ts";
import type { Admission, Gate } from "../base/gate.ts";
import { corrupt } from "../codec/reader.ts";
import { TandemError } from "../errors.ts";
import { now } from "../runtime/timers.ts";
import type { Delivery, Receiver } from "../transport/transport.ts";
import { runInContext } from "./context.ts";
import type { Around, ServiceCall } from "./around.ts";
import { ServedCall } from "./around_service.ts";
import { RequestContext } from "./call_contexts.ts";
import type { Endpoint } from "./endpoint.ts";
import type { CallHook } from "./hooks.ts";
import type { CallWatch } from "./call_watch.ts";
import { forwardedMethod } from "./forwarded.ts";
import { type Callee, calleeOf, listMethods, type Offered, rawCalleeOf } from "./interface.ts";
import { LentTerms } from "./lent_terms.ts";
import {
  hasExtras,
  hasHost,
  hasMetadata,
  isRepeatable as isRepeatableFlag,
  Kind,
  type Reading,
  readInPlace,
  readMessage,
  readParcel,
} from "./message.ts";
import { type Metadata, readMetadata } from "./metadata.ts";
import { type Announcement, readAnnouncement } from "./parcels.ts";
import type { Idempotent } from "./terms.ts";
import { Recorder } from "./recorder.ts";
import { refuse, type Reply, replyResult, replyThrown, type ResultFailure } from "./replies.ts";
import { isRepeatable } from "./retry.ts";
import { hasTelemetry } from "./telemetry.ts";

/** The methods of a service, and how it offers them. */
export interface Offer {
  readonly methods: ReadonlyMap<string, Offered>;
  readonly version: string | undefined;
  readonly onCall: CallHook | undefined;
  readonly idempotent: Idempotent;
  readonly around: Around<ServiceCall> | undefined;
  readonly watch: CallWatch | undefined;
}

/** A long call that is being fetched. */
class Fetching {
  readonly stop: AbortController = new AbortController();
  /** How often {@linkcode Dispatcher.giveUpFetches} has looked since a part arrived. */
  looks = 0;
}

/** A call that was read. */
interface Called {
  readonly method: Offered;
  /** The function to call; undefined: the one that the method has when the call begins. */
  readonly rawCallee: Callee | undefined;
  readonly args: unknown[];
  readonly context: RequestContext;
  /** Of the values that the caller lends. */
  readonly terms: LentTerms | undefined;
  /** Another service may run the call again if this one dies. */
  readonly isRepeatable: boolean;
}

export class Dispatcher {
  readonly #receiver: Receiver;
  readonly #endpoint: Endpoint;
  readonly #offer: Offer;
  readonly #gate: Gate;
  readonly #fetches: Set<Fetching> = new Set();

  constructor(receiver: Receiver, endpoint: Endpoint, offer: Offer, gate: Gate) {
    this.#receiver = receiver;
    this.#endpoint = endpoint;
    this.#offer = offer;
    this.#gate = gate;
  }

  /**
   * Handles a request. Never throws.
   *
   * @param admission null: the call asks for admission if it needs one
   */
  dispatch(delivery: Delivery, admission: Admission | null = null): void {
    const { reads } = this.#endpoint;
    try {
      if (delivery.isForwarded) {
        return this.#call(delivery, this.#readForwarded(delivery), admission);
      }
      const { isPrivate } = this.#receiver;
      const called = readMessage(reads, delivery.bytes, isPrivate, this.#open, delivery);
      if (!("host" in called)) return this.#call(delivery, called, admission);
      admission?.leave();
      void this.#fetch(delivery, called);
    } catch (error) {
      admission?.leave();
      this.#refuse(delivery, error);
    }
  }

  /**
   * Stops fetching the calls of which no part has arrived for so many looks. Other services get those calls, or they
   * fail for their callers.
   */
  giveUpFetches(looks: number): void {
    for (const fetching of this.#fetches) {
      fetching.looks += 1;
      if (fetching.looks >= looks) fetching.stop.abort(givenUp);
    }
  }

  readonly #open = (reading: Reading, delivery: Delivery): Called | Announcement =>
    reading.kind === Kind.parcel ? readAnnouncement(reading) : this.#read(reading, delivery);

  /** @throws {TandemError} for a message that calls no method of the service */
  readonly #read = (reading: Reading, delivery: Delivery): Called => {
    const { kind, flags, decoder } = reading;
    if (kind !== Kind.call) throw corrupt(`a service takes no message of kind ${kind}`);
    const [version, traceparent, tracestate] = flags & hasExtras
      ? decoder.list().map(textOrNone)
      : [];
    this.#checkVersion(version);
    const metadata = flags & hasMetadata ? readMetadata(decoder) : undefined;
    const name = decoder.text();
    const method = this.#offer.methods.get(name) ?? this.#unknownMethod(name);
    const rawCallee = rawCalleeOf(method);
    if (rawCallee) readInPlace(reading);
    const args = decoder.list();
    const isInPlace = rawCallee !== undefined;
    const context = this.#contextOf(name, delivery, isInPlace, traceparent, tracestate, metadata);
    const terms = flags & hasHost ? new LentTerms(delivery) : undefined;
    this.#endpoint.reads.finish(reading, terms);
    const isDeclared = (flags & isRepeatableFlag) !== 0;
    const isRepeatableHere = isDeclared || isRepeatable(name, this.#offer.idempotent);
    return { method, rawCallee, args, context, terms, isRepeatable: isRepeatableHere };
  };

  /** @throws {TandemError} `UNKNOWN_METHOD` */
  #readForwarded(delivery: Delivery): Called {
    const method = forwardedMethod(this.#offer.methods, delivery.origin?.method);
    const { name } = method;
    const rawCallee = rawCalleeOf(method);
    const context = this.#contextOf(name, delivery, rawCallee !== undefined);
    const args = [rawCallee ? delivery.bytes : delivery.bytes.slice()];
    const isRepeatableHere = isRepeatable(name, this.#offer.idempotent);
    return { method, rawCallee, args, context, terms: undefined, isRepeatable: isRepeatableHere };
  }

  #contextOf(
    name: string,
    delivery: Delivery,
    isInPlace: boolean,
    traceparent?: string,
    tracestate?: string,
    metadata?: Metadata,
  ): RequestContext {
    const Context = this.#offer.around ? ServedCall : RequestContext;
    const context = new Context(name, delivery, traceparent, tracestate, metadata);
    context.isInPlace = isInPlace;
    return context;
  }

  #checkVersion(found: string | undefined): void {
    const { version } = this.#offer;
    if (found === undefined || version === undefined || found === version) return;
    throw new TandemError(
      "MISMATCH",
      `Cannot call a method: the caller has version ${JSON.stringify(found)} of the interface, ` +
        `this service has ${JSON.stringify(version)}; let both sides run the same version`,
    );
  }

  #unknownMethod(name: string): never {
    throw new TandemError(
      "UNKNOWN_METHOD",
      `Cannot call ${name === "" ? "the service itself" : JSON.stringify(name)}: ` +
        `it is not offered; ${listMethods(this.#offer.methods)}`,
    );
  }

  /**
   * Fetches a call that is too long for a slot. The gate admits the call only when all of it has arrived,
   * so that no other call waits for a sender that is stopped. Never rejects.
   */
  async #fetch(delivery: Delivery, announcement: Announcement): Promise<void> {
    const visit = this.#gate.enterLobby();
    const fetching = new Fetching();
    this.#fetches.add(fetching);
    let stopListening: (() => void) | null = null;
    let admission: Admission | null = null;
    try {
      // Before the private path opens, which takes time.
      const deadline = now() + delivery.timeRemaining;
      const { signal: ended } = delivery;
      const stop = () => fetching.stop.abort(ended.reason);
      if (ended.aborted) stop();
      else stopListening = onAbort(ended, stop);
      const { signal } = fetching.stop;
      const onPart = () => void (fetching.looks = 0);
      const parcel = await this.#endpoint.fetch(announcement, { deadline, signal, onPart });
      // From here on it waits as a call in progress does.
      this.#fetches.delete(fetching);
      admission = await this.#gate.admission();
      signal.throwIfAborted();
      const called = readParcel(this.#endpoint.reads, parcel, this.#read, delivery);
      this.#call(delivery, called, admission);
    } catch (error) {
      admission?.leave();
      // Another service gets a call that was given up.
      if (error !== givenUp) this.#refuse(delivery, error);
    } finally {
      stopListening?.();
      this.#fetches.delete(fetching);
      visit.leave();
    }
  }

  /** @param admission null: the call asks for admission if it needs one */
  #call(delivery: Delivery, called: Called, admission: Admission | null): void {
    // Another service would repeat work that has begun here.
    const agreed = called.isRepeatable ? undefined : delivery.lastDelivery();
    if (agreed) void this.#callWhen(agreed, delivery, called, admission ?? this.#gate.enter());
    else this.#begin(delivery, called, admission);
  }

  /** Never rejects. */
  async #callWhen(
    agreed: Promise<void>,
    delivery: Delivery,
    called: Called,
    admission: Admission,
  ): Promise<void> {
    try {
      await agreed;
      this.#begin(delivery, called, admission);
    } catch (error) {
      admission.leave();
      this.#refuse(delivery, error);
    }
  }

  /** @param admission null: the call asks for admission if it needs one */
  #begin(
    delivery: Delivery,
    { method, rawCallee, args, context, terms }: Called,
    admission: Admission | null,
  ): void {
    const { onCall, around, watch } = this.#offer;
    if (watch) context.watchToken = watch.begin(method.name, delivery);
    const record = onCall || hasTelemetry() ? new Recorder(onCall, context) : undefined;
    const body = around && context instanceof ServedCall
      ? (): unknown => context.runThrough(around, method, rawCallee, args)
      : (): unknown => Reflect.apply(rawCallee ?? calleeOf(method), method.self, args);
    const start = (): unknown => runInContext(context, body);
    let result: unknown;
    try {
      result = record ? record.run(start) : start();
      if (isThenable(result) || terms?.sent) {
        const held = admission ?? this.#gate.enter();
        return void this.#finish(delivery, context, result, terms, record, held);
      }
    } catch (error) {
      if (terms?.sent) {
        const held = admission ?? this.#gate.enter();
        return void this.#finish(delivery, context, Promise.reject(error), terms, record, held);
      }
      const pending = this.#answerThrown(delivery, context, error, record);
      return this.#leaveAfter(pending, context, admission);
    }
    this.#leaveAfter(this.#answer(delivery, context, result, record), context, admission);
  }

  /** @param pending resolves when the answer was sent; undefined: it was */
  #leaveAfter(
    pending: Promise<void> | undefined,
    context: RequestContext,
    admission: Admission | null,
  ): void {
    if (!pending) return this.#leave(context, admission);
    const held = admission ?? this.#gate.enter();
    pending.then(() => this.#leave(context, held));
  }

  /** @param admission null: the call has none yet, because it has ended at once */
  #leave(context: RequestContext, admission: Admission | null): void {
    const running = context.end();
    if (!running) return this.#left(context, admission);
    // `around` has answered before the method ended.
    const held = admission ?? this.#gate.enter();
    running.then(() => this.#left(context, held));
  }

  #left({ watchToken, hasFailed }: RequestContext, admission: Admission | null): void {
    this.#offer.watch?.end(watchToken, hasFailed);
    admission?.leave();
  }

  /**
   * Waits for the promise that a method has returned, and until its calls of lent functions are sent. Never
   * rejects.
   */
  async #finish(
    delivery: Delivery,
    context: RequestContext,
    result: unknown,
    terms: LentTerms | undefined,
    record: Recorder | undefined,
    admission: Admission,
  ): Promise<void> {
    try {
      const value = await result;
      if (terms?.sent) await terms.sent;
      const pending = this.#answer(delivery, context, value, record);
      if (pending) await pending;
    } catch (error) {
      if (terms?.sent) await terms.sent;
      const pending = this.#answerThrown(delivery, context, error, record);
      if (pending) await pending;
    } finally {
      this.#leave(context, admission);
    }
  }

  /** Never throws. Returns a promise when the answer is sent later, which never rejects. */
  #answer(
    delivery: Delivery,
    context: RequestContext,
    result: unknown,
    record: Recorder | undefined,
  ): Promise<void> | undefined {
    const reply = this.#reply(delivery, context, !context.isInPlace);
    const failure = replyResult(reply, Kind.value, result);
    if (failure instanceof Promise) {
      return failure.then((failure) => this.#answered(delivery, context, failure, record));
    }
    return this.#answered(delivery, context, failure, record);
  }

  #answered(
    delivery: Delivery,
    context: RequestContext,
    failure: ResultFailure | undefined,
    record: Recorder | undefined,
  ): Promise<void> | undefined {
    if (failure?.wasThrown) return this.#answerThrown(delivery, context, failure.error, record);
    if (failure) this.#refuse(delivery, failure.error);
    record?.end(failure?.error);
    return undefined;
  }

  #answerThrown(
    delivery: Delivery,
    context: RequestContext,
    error: unknown,
    record: Recorder | undefined,
  ): Promise<void> | undefined {
    // A schema that refuses arguments is not an error of the method.
    const isRefused = codeOf(error) === "INVALID_ARGUMENTS";
    context.hasFailed = !isRefused;
    if (isRefused) this.#refuse(delivery, error);
    const pending = isRefused ? undefined : replyThrown(this.#reply(delivery, context), error);
    record?.end(error ?? new Error("The method threw nothing"));
    return pending;
  }

  #refuse(delivery: Delivery, error: unknown): void {
    refuse(this.#reply(delivery, undefined), error);
  }

  #reply(
    delivery: Delivery,
    call: RequestContext | undefined,
    waitsForMemory: boolean = false,
  ): Reply {
    const max = this.#receiver.maxResponseBytes;
    return { delivery, side: this.#endpoint, max, call, waitsForMemory };
  }
}

/** The reason for which {@linkcode Dispatcher.giveUpFetches} stops. */
const givenUp = new TandemError("CANCELLED", "The service is closed");

function textOrNone(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
