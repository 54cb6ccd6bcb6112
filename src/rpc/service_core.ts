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
/** Looks for such calls in that time. They are counted, since this process may be stopped as well. */
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

  constructor(receiver: Receiver, methods: ReadonlyMap<string, Offered>, terms: ServiceTerms) {
    const { concurrency = receiver.slots } = terms;
    this.#receiver = receiver;
    this.#gate = new Gate(concurrency);
    this.#endpoint = new Endpoint(receiver, terms.errorClasses, terms.limits);
    const offer = { methods, ...terms };
    this.#dispatcher = new Dispatcher(receiver, this.#endpoint, offer, this.#gate);
    this.#addressed = new AddressedCalls(this.#endpoint, offer, this.#gate, this.#stopping.signal);
    prepareContexts();
    receiver.onReplaced((timeout) => void this.close({ timeout }));
    const { signal } = terms;
    if (signal?.aborted) this.#stopping.abort();
    else if (signal) this.#stopListening = onAbort(signal, () => void this.close());
    this.ready = this.#stopping.signal.aborted ? Promise.reject(neverOpen()) : Promise.resolve();
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

  /** See {@linkcode Service.close}. */
  async close(options: CloseOptions = {}): Promise<void> {
    const { timeout = Infinity } = options;
    checkTimeout(timeout, "timeout");
    this.#stopping.abort();
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
    this.#gate.wake();
  }

  async #run(): Promise<void> {
    // Each call starts from the context of `serve`, not from the one that the call before it left behind.
    const run = captureContext();
    const dispatch = (delivery: Delivery) => this.#dispatcher.dispatch(delivery);
    const take = (delivery: Delivery) => run(dispatch, delivery);
    try {
      await this.#receiver.serve(this.#gate, take, this.#stopping.signal);
      await this.#endpoint.answersFetched(fetchGrace);
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
