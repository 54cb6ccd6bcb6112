/**
 * Services: they offer the methods of an object.
 *
 * @module
 */
import { type Maker, notConstructible } from "../base/maker.ts";
import type { Stats } from "../base/stats.ts";
import { type ServeTarget, targetName, transportOf } from "../transport/targets.ts";
import { offeredMethods } from "./interface.ts";
import type { CloseOptions, ServiceOptions } from "./options.ts";
import { parseServiceOptions } from "./terms.ts";
import { ServiceCore } from "./service_core.ts";

/**
 * A running service, returned by {@linkcode serve}. It keeps its process alive until it is closed.
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
   * Resolves when the service is closed and its calls have ended. Rejects when its channel is damaged, and
   * with `NOT_FOUND` when other code unlinked the channel or removed its file: serve it again then.
   */
  readonly finished: Promise<void>;
  /**
   * Resolves when the service can be called. In shared memory that is so when `serve` returns; over NATS it
   * takes a while. Rejects with `CLOSED` if the service never opens, because its `signal` had aborted before;
   * over NATS with `PERMISSION` for a login or subject that is refused, with `UNSUPPORTED` where the NATS client is
   * not installed or the server has no JetStream for `maxDeliveries`, and with `MISMATCH` where other services of the
   * target have another `maxDeliveries`.
   */
  readonly ready: Promise<void>;
  readonly #core: ServiceCore;

  private constructor(core: ServiceCore) {
    if (!(core instanceof ServiceCore)) throw notConstructible("Service", "serve()");
    this.#core = core;
    this.finished = core.finished;
    this.ready = core.ready;
  }

  /**
   * The path of the channel's file; of a `memory:` target, the target; of a channel without a name,
   * `(anonymous)`.
   */
  get path(): string {
    return this.#core.path;
  }

  /**
   * Numbers about the channel.
   *
   * @throws {TandemError} `CLOSED`
   */
  stats(): Stats {
    return this.#core.stats();
  }

  /**
   * Removes the channel's name, as {@linkcode Server.unlink} does. Do this when the last service ends.
   * This service gets no more calls, and stays open until you close it; the others on the channel end.
   *
   * @returns false: it was removed already
   */
  unlink(): boolean {
    return this.#core.unlink();
  }

  /**
   * Takes no more calls, waits until the calls in progress have ended, ends the streams that clients
   * still read, and leaves the channel. You may call it twice, also with another `timeout`.
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
   * Infinity. Then the signals of the handlers that still run abort. Their calls go to another service if
   * their methods may run again, and otherwise fail with `SERVER_DIED`, as if this process had died
   * @throws {TypeError} {RangeError} for a negative or NaN `timeout`
   */
  close(options?: CloseOptions): Promise<void> {
    return this.#core.close(options);
  }

  /** Does what {@linkcode close} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const ServiceMaker = Service as unknown as Maker<ServiceCore, Service>;

/**
 * Offers the methods of an object to every process that can open the channel. Any number of services
 * may share one channel; each call goes to exactly one of them.
 *
 * A target is a name, a path, `memory:NAME`, `nats://SERVERS/NAME`, or a `Server`: see `target` below.
 *
 * The service offers the object's own methods and those of its classes, but no methods of
 * `Object.prototype`, no symbols and no getters. It leaves out methods called `then`, `toJSON`, `inspect`
 * or `asymmetricMatch`, because `await`, `JSON.stringify`, printers and matchers look for them. A bare
 * function is an interface of its own.
 *
 * Which methods there are is decided when the object is served. Which function a method runs is decided at
 * each call, so spies and stubs that tests place on the object, or on its class, later work.
 *
 * Arguments and results may be everything that `structuredClone` takes, nested up to 1,000 deep, and
 * functions that {@linkcode proxy} has made; of a view only the bytes that it shows are sent. A value that
 * cannot be sent is refused with its name and path (`NOT_SERIALIZABLE`): a Proxy, a `URL`, a `Temporal`
 * value or a Promise, for example (await a pending call first). If a getter throws while a result is read,
 * the caller gets that error as `REMOTE`.
 *
 * Generators, async generators, other async iterables and `ReadableStream`s are streams, as results and
 * as arguments: each item is made when the other side asks for it. An argument that is a stream ends with
 * its call, or with the stream that the call returns.
 *
 * An `AbortSignal` arrives as a signal that follows it: it aborts when the original does, with its reason,
 * or with a described error if the reason cannot be sent. As an argument it does so until its call, or the
 * stream that the call returns, has ended; as an item, until its stream has ended; as a result, until the
 * receiver forgets it. If the process of the original dies, it aborts with a {@linkcode TandemError}.
 *
 * Where a runtime replaces code in the running process (`deno run --watch`, `--watch-hmr`, `bun --hot`),
 * the services of the old code are closed when the new code serves the same target, and in Deno when it
 * first uses this package. In Bun, their calls in progress have a second to end.
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
 * @example Unit tests without processes, native code or permissions
 * ```ts
 * import { connect, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * // Values are encoded and copied, as on the way to another process.
 * const prices = new Map([["tea", 3]]);
 * await using service = serve("memory:prices", { list: () => prices });
 * using remote = connect<{ list(): Map<string, number> }>("memory:prices", { timeout: 1_000 });
 * const copy = await remote.list();
 * copy.set("tea", 0);
 * assertEquals(prices.get("tea"), 3);
 * assertEquals(service.path, "memory:prices");
 * ```
 *
 * @example A channel without a name, for a child process
 * ```ts
 * import { Client, connect, serve, Server } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const api = { add: (a: number, b: number) => a + b };
 * const server = Server.anonymous();
 * await using service = serve(server, api);
 * // spawn(…, { stdio: [0, 1, 2, server.fd] }) starts a child that calls Client.fromFd(3) in place of this:
 * using remote = connect<typeof api>(Client.fromFd(server.fd), { timeout: 1_000 });
 * assertEquals(await remote.add(1, 2), 3);
 * assertEquals(service.path, "(anonymous)");
 * ```
 *
 * @typeParam Api the interface; give it to {@linkcode connect} as well
 * @param target a name or a path, as for {@linkcode Server.open}; or `memory:NAME`, which only this
 * thread can reach and which needs neither native code nor a permission: for unit tests of code that
 * serves or calls; or an open {@linkcode Server}, which the service takes over and closes when it ends:
 * for anonymous channels; or `nats://HOST:PORT,HOST:PORT/NAME`, for callers on other machines, through NATS
 * servers: see the option `nats`
 * @param api the methods
 * @param options sizes of the channel, `concurrency`, `version`, `errors`, `onCall` and others
 * @throws {TandemError} the codes of {@linkcode Server.open}; of a `Server`, `MISMATCH` when a size
 * differs from its channel, and `CLOSED`
 * @throws {TypeError} {RangeError} for wrong options, and for a value without methods
 */
export function serve<Api extends object>(
  target: ServeTarget,
  api: Api,
  options: ServiceOptions = {},
): Service {
  const terms = parseServiceOptions(options);
  const methods = offeredMethods(api);
  const transport = transportOf(target, "serve", terms.nats);
  const name = typeof target === "string" ? target : targetName(target);
  const receiver = transport.serve(name, terms.channel);
  return new ServiceMaker(new ServiceCore(receiver, methods, terms));
}
