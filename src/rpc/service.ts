/**
 * The side that offers methods.
 *
 * @module
 */
import { checkTimeout } from "../base/checks.ts";
import { Gate } from "../base/gate.ts";
import type { Stats } from "../channel/stats.ts";
import { captureContext } from "../runtime/context.ts";
import { laterForSure, timerMax } from "../runtime/timers.ts";
import { transportOf } from "../transport/targets.ts";
import type { Delivery, Receiver } from "../transport/transport.ts";
import { prepareContexts } from "./context.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Endpoint } from "./endpoint.ts";
import { type Offered, offeredMethods } from "./interface.ts";
import {
  type CloseOptions,
  parseServiceOptions,
  type ServiceOptions,
  type ServiceTerms,
} from "./options.ts";

/**
 * How long a service that is closed waits for calls that are still being fetched, in milliseconds:
 * their senders may be stopped. Then they go to another service, as calls do whose service has died.
 */
const fetchGrace = 2_000;

/**
 * A running service: what {@linkcode serve} returns. It keeps its process alive until it is closed.
 *
 * @example
 * ```ts
 * import { connect, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const service = serve("greeter", (name: string) => `Hello, ${name}!`);
 * using greet = connect<(name: string) => string>("greeter", { timeout: 1_000 });
 * assertEquals(await greet("you"), "Hello, you!");
 *
 * service.unlink();
 * await service.close();
 * await service.finished;
 * ```
 */
export class Service implements AsyncDisposable {
  /**
   * Resolves when the service is closed and its calls have ended; rejects when its channel is
   * damaged, and with `NOT_FOUND` when others have unlinked it or removed its file: serve it again then.
   */
  readonly finished: Promise<void>;
  readonly #receiver: Receiver;
  readonly #endpoint: Endpoint;
  readonly #dispatcher: Dispatcher;
  readonly #gate: Gate;
  readonly #stopping: AbortController = new AbortController();

  /** @ignore Made by {@linkcode serve}. */
  constructor(receiver: Receiver, methods: ReadonlyMap<string, Offered>, terms: ServiceTerms) {
    const { concurrency = receiver.slots } = terms;
    this.#receiver = receiver;
    this.#gate = new Gate(concurrency);
    this.#endpoint = new Endpoint(receiver, terms.errorClasses, terms.limits, "readable");
    this.#dispatcher = new Dispatcher(receiver, this.#endpoint, { methods, ...terms }, this.#gate);
    prepareContexts();
    receiver.onReplaced((timeout) => void this.close({ timeout }));
    this.finished = this.#run();
    // A program that does not ask for the result gets no unhandled rejection.
    this.finished.catch(() => {});
  }

  /** The path of the channel's file; of a `memory:` target, the target. */
  get path(): string {
    return this.#receiver.path;
  }

  /**
   * Numbers about the channel.
   *
   * @throws {TandemError} `CLOSED`
   */
  stats(): Stats {
    return this.#receiver.stats();
  }

  /**
   * Removes the channel's name, as {@linkcode Server.unlink} does: for when the last service goes. This
   * service gets no calls any more, and goes on until it is closed; others on the channel end.
   *
   * @returns false: somebody removed it already
   */
  unlink(): boolean {
    return this.#receiver.unlink();
  }

  /**
   * Takes no further calls, lets those in progress end, ends the streams that clients still read, and
   * leaves the channel. Twice is fine, also with another `timeout`.
   *
   * @example A method that hangs does not keep the service open
   * ```ts
   * import { connect, serve, TandemError } from "@tandem/ipc";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * const api = { hang: (): Promise<void> => new Promise(() => {}), ping: () => "pong" };
   * const service = serve("hanging", api);
   * using remote = connect<typeof api>("hanging", { timeout: 5_000 });
   * const hanging = assertRejects(() => remote.hang(), TandemError);
   * assertEquals(await remote.ping(), "pong");
   *
   * service.unlink();
   * await service.close({ timeout: 10 });
   * await hanging;
   * ```
   *
   * @param options `timeout`: how long calls in progress may take to end, in milliseconds; default:
   * Infinity. What is left then ends `SERVER_DIED` for its caller, as if this process had died, or goes to
   * another service if its method may run again; the signals of its handlers abort
   * @throws {TypeError} {RangeError} for a negative or NaN `timeout`
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const timeout = checkTimeout(options.timeout ?? Infinity, "timeout");
    this.#stopping.abort();
    // NaN is for ever.
    const cancelEnd = Number.isNaN(timeout)
      ? () => {}
      : laterForSure(Math.min(timeout, timerMax), () => this.#end());
    const cancelTimer = laterForSure(fetchGrace, () => {
      this.#dispatcher.giveUpFetches();
    });
    await this.finished.catch(() => {});
    cancelTimer();
    cancelEnd();
  }

  /** Leaves the channel, whatever is in progress. */
  #end(): void {
    this.#endpoint.close();
    this.#receiver.close();
    this.#gate.wake();
  }

  /** Does what {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    // Each call starts from the context of `serve`, whatever the one before it has changed.
    const run = captureContext();
    const dispatch = (delivery: Delivery) => this.#dispatcher.dispatch(delivery);
    const take = (delivery: Delivery) => run(dispatch, delivery);
    try {
      await this.#receiver.serve(this.#gate, take, this.#stopping.signal);
    } finally {
      this.#end();
    }
  }
}

/**
 * Offers the methods of an object to every process that can open the channel. Any number of services
 * may be on one channel; each call goes to exactly one of them.
 *
 * Offered are the object's own methods and those of its classes, nothing of `Object.prototype`, no
 * symbols, no getters, and nothing called `then`, `toJSON`, `inspect` or `asymmetricMatch`, which
 * `await`, `JSON.stringify`, printers and matchers look for: such methods are left out. A bare function
 * is an interface of its own. Arguments and results are everything that `structuredClone` takes, except
 * functions, nested up to 1,000 deep; of a view only the bytes that it shows are sent. What cannot be
 * sent, such as a Proxy, a `URL`, a `Temporal` value or a Promise (a call that is under way, for
 * example: await it first), is refused by name and path (`NOT_SERIALIZABLE`); what a getter throws while
 * a result is read reaches the caller as `REMOTE`. Generators, async generators, other async iterables
 * and `ReadableStream`s are streams, as results and as arguments: each item is made when the other side
 * asks for it. An argument
 * that is a stream ends with its call, or with the stream that the call returns.
 *
 * Where a runtime replaces code in the running process (`deno run --watch`, `--watch-hmr`, `bun --hot`),
 * the services of the code before are closed when the new code serves the same target, and in Deno
 * when it first uses this package; their calls in progress have a second to end in Bun.
 *
 * @example
 * ```ts
 * import { connect, RemoteError, serve } from "@tandem/ipc";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * class Counter {
 *   #count = 0;
 *   add(step: number): number {
 *     if (step < 0) throw new RangeError("only upwards", { cause: { step } });
 *     return this.#count += step;
 *   }
 * }
 *
 * await using service = serve("counter", new Counter(), { concurrency: 8 });
 * using counter = connect<Counter>("counter", { timeout: 1_000 });
 * assertEquals(await counter.add(2), 2);
 * const error = await assertRejects(() => counter.add(-1), RemoteError);
 * assertEquals([error.remoteName, error.cause], ["RangeError", { step: -1 }]);
 * service.unlink();
 * ```
 *
 * @typeParam Api the interface, which {@linkcode connect} is given as well
 * @param target as of {@linkcode Server.open}
 * @param api the methods
 * @param options sizes of the channel, `concurrency`, `version`, `errors`, `onCall` and others
 * @throws {TandemError} as {@linkcode Server.open}
 * @throws {TypeError} {RangeError} for wrong options, and for what has no methods
 */
export function serve<Api extends object>(
  target: string,
  api: Api,
  options: ServiceOptions = {},
): Service {
  const terms = parseServiceOptions(options);
  const methods = offeredMethods(api);
  const receiver = transportOf(target, "serve").serve(target, terms.channel);
  return new Service(receiver, methods, terms);
}
