/**
 * The work of a {@linkcode Service}: takes requests through a gate and hands them to the dispatcher.
 *
 * @module
 */
import { onAbort } from "../base/abort.ts";
import { checkTimeout } from "../base/checks.ts";
import { Gate } from "../base/gate.ts";
import type { Stats } from "../base/stats.ts";
import { TandemError } from "../errors.ts";
import { captureContext } from "../runtime/context.ts";
import { laterForSure, timerMax } from "../runtime/timers.ts";
import type { Delivery, Receiver } from "../transport/transport.ts";
import { AddressedCalls } from "./addressed_calls.ts";
import { prepareContexts } from "./context.ts";
import type { CallWatch } from "./call_watch.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Endpoint } from "./endpoint.ts";
import type { Offered } from "./interface.ts";
import type { CloseOptions } from "./options.ts";
import type { ServiceTerms } from "./terms.ts";

/**
 * How long a closed service waits for the next part of a long message that is still being fetched, in milliseconds,
 * since the process at its other end may be stopped. After that, other services get the calls, as when a service
 * has died.
 */
const fetchGrace = 2_000;
/** Looks for such messages in that time. They are counted, since this process may be stopped as well. */
const fetchLooks = 4;

export class ServiceCore {
  /** See {@linkcode Service.finished}. */
  readonly finished: Promise<void>;
  /** See {@linkcode Service.ready}. */
  readonly ready: Promise<void>;
  readonly #receiver: Receiver;
  readonly #endpoint: Endpoint;
  readonly #dispatcher: Dispatcher;
  readonly #addressed: AddressedCalls;
  readonly #gate: Gate;
  readonly #stopping: AbortController = new AbortController();
  #cancelLook: (() => void) | null = null;
  #stopListening: (() => void) | undefined;
  #pauses = 0;
  /** Ends the wait for calls when the service is paused. */
  #pausing: AbortController = new AbortController();
  #wakeFromPause: (() => void) | undefined;

  constructor(
    receiver: Receiver,
    methods: ReadonlyMap<string, Offered>,
    terms: ServiceTerms,
    watch?: CallWatch,
  ) {
    const { concurrency = receiver.slots } = terms;
    this.#receiver = receiver;
    this.#gate = new Gate(concurrency);
    this.#endpoint = new Endpoint(receiver, terms.errorClasses, terms.limits);
    const offer = { methods, watch, ...terms };
    this.#dispatcher = new Dispatcher(receiver, this.#endpoint, offer, this.#gate);
    this.#addressed = new AddressedCalls(this.#endpoint, offer, this.#gate, this.#stopping.signal);
    prepareContexts();
    receiver.onReplaced((timeout) => void this.close({ timeout }));
    const { signal } = terms;
    if (signal?.aborted) this.#stopping.abort();
    else if (signal) this.#stopListening = onAbort(signal, () => void this.close());
    const isStopped = this.#stopping.signal.aborted;
    this.ready = isStopped ? Promise.reject(neverOpen()) : receiver.ready ?? Promise.resolve();
    this.finished = this.#run();
    this.#addressed.start();
    // A program that does not ask for the results gets no unhandled rejection.
    this.ready.catch(() => {});
    this.finished.catch(() => {});
  }

  get path(): string {
    return this.#receiver.path;
  }

  stats(): Stats {
    return this.#receiver.stats();
  }

  unlink(): boolean {
    return this.#receiver.unlink();
  }

  /** How many calls may be in progress at once. */
  set concurrency(limit: number) {
    this.#gate.limit = limit;
  }

  /**
   * Takes no more calls from the target until every pause has ended. Calls that are addressed to this service
   * still come. The pause begins at once, and calls in progress go on.
   *
   * @returns ends the pause; twice is fine
   */
  pause(): () => void {
    this.#pauses += 1;
    this.#pausing.abort();
    let isPaused = true;
    return () => {
      if (!isPaused) return;
      isPaused = false;
      this.#pauses -= 1;
      this.#wakeUnlessPaused();
    };
  }

  #wakeUnlessPaused(): void {
    if (this.#pauses > 0 && !this.#stopping.signal.aborted) return;
    this.#wakeFromPause?.();
    this.#wakeFromPause = undefined;
  }

  /** Resolves when no call is in progress, or being fetched. */
  async whenIdle(): Promise<void> {
    while (!this.#gate.isEmpty) await this.#gate.change();
  }

  /** See {@linkcode Service.close}. */
  async close(options: CloseOptions = {}): Promise<void> {
    const { timeout = Infinity } = options;
    checkTimeout(timeout, "timeout");
    this.#stopping.abort();
    this.#wakeUnlessPaused();
    const cancelEnd = timeout === Infinity
      ? undefined
      : laterForSure(Math.min(timeout, timerMax), () => this.#end());
    this.#giveUpFetches();
    await this.finished.catch(() => {});
    this.#cancelLook?.();
    cancelEnd?.();
  }

  /** Looks again and again, unless it does so already. */
  #giveUpFetches(): void {
    this.#cancelLook ??= laterForSure(fetchGrace / fetchLooks, () => {
      this.#cancelLook = null;
      this.#dispatcher.giveUpFetches(fetchLooks);
      this.#addressed.giveUpFetches(fetchLooks);
      this.#giveUpFetches();
    });
  }

  /** Leaves the target at once; calls in progress end there. */
  #end(): void {
    this.#addressed.close();
    this.#endpoint.close();
    this.#receiver.close();
    this.#stopping.abort();
    this.#gate.wake();
    this.#wakeUnlessPaused();
  }

  /** Serves until the service is paused or closed. @returns whether it is paused */
  async #serve(take: (delivery: Delivery) => void): Promise<boolean> {
    const { signal: closing } = this.#stopping;
    if (this.#pauses === 0) this.#pausing = new AbortController();
    const { signal: pausing } = this.#pausing;
    const served = this.#receiver.serve(this.#gate, take, AbortSignal.any([closing, pausing]));
    const paused = Promise.withResolvers<void>();
    const stopListening = onAbort(pausing, paused.resolve);
    try {
      // It waits for the calls in progress, but a paused service goes on before they have ended.
      await Promise.race([served, paused.promise]);
      if (!pausing.aborted || closing.aborted) await served;
    } finally {
      stopListening();
      served.catch(() => {});
    }
    return pausing.aborted && !closing.aborted;
  }

  async #pauseEnd(): Promise<void> {
    if (this.#pauses === 0 || this.#stopping.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakeFromPause = resolve;
    await promise;
  }

  async #run(): Promise<void> {
    // Each call starts from the context of `serve`, not from the one that the call before it left behind.
    const run = captureContext();
    const dispatch = (delivery: Delivery) => this.#dispatcher.dispatch(delivery);
    const take = (delivery: Delivery) => run(dispatch, delivery);
    try {
      while (await this.#serve(take)) await this.#pauseEnd();
      await this.#endpoint.answersFetched(fetchGrace / fetchLooks, fetchLooks);
    } finally {
      // The signal may outlive many services.
      this.#stopListening?.();
      this.#end();
    }
  }
}

function neverOpen(): TandemError {
  return new TandemError(
    "CLOSED",
    "The service was closed at once: its signal had aborted before serve() was called",
  );
}
