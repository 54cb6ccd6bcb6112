/**
 * Ports as programs see them.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import { isThenable } from "../../base/guard.ts";
import { type Maker, notConstructible } from "../../base/maker.ts";
import { TandemError } from "../../errors.ts";
import type { AnyFunction } from "../../rpc/sendable.ts";
import type { PortId } from "../ids.ts";
import { type KillReason, killReason } from "../reason.ts";
import type { HandlerOf, ReceivedOf } from "../types.ts";
import { checkFunction, Handler } from "./handler.ts";
import { currentInvocation, enter, leave, runInvocation } from "./invocation.ts";
import { PortCore } from "./port_core.ts";
import type { ReceiveOptions } from "./receiver.ts";

const cores: WeakMap<object, PortCore> = new WeakMap();

/** The port behind its public face. */
export function coreOf(port: object): PortCore | undefined {
  return cores.get(port);
}

/**
 * A place to which any node can send messages. {@linkcode Node.port} makes it.
 *
 * A message is a list of values, the first of which usually is its tag. The handler of the tag gets the others.
 * Messages are handled one after another, promises awaited, in the order in which their sender has sent them. A
 * message without a handler ends the port (`unhandled_message`), and so does a handler that throws (`die`). A
 * handler that throws in an `at` call only fails the call.
 *
 * A port that was made without handlers keeps its messages for {@linkcode Port.receive}. So does, once
 * `receive` was called, a port with handlers: with the messages that have none.
 *
 * @typeParam P the interface: its methods are the tags
 *
 * @example A counter
 * ```ts
 * import { Node } from "@tandem/ipc/node";
 * import { assertEquals } from "@std/assert";
 *
 * await using node = await Node.start({ name: "docs" });
 * let total = 0;
 * using counter = node.port({ add: (n: number) => void (total += n), get: () => total });
 *
 * // Any other node that has the id:
 * node.send(counter.id, "add", 2);
 * node.send(counter.id, "add", 3);
 * assertEquals(await node.at(counter.id).get(), 5);
 * ```
 *
 * @example Selective receive
 * ```ts
 * import { Node } from "@tandem/ipc/node";
 * import { assertEquals } from "@std/assert";
 *
 * await using node = await Node.start({ name: "docs" });
 * using port = node.port();
 * node.send(port.id, "later", 1);
 * node.send(port.id, "urgent", 2);
 *
 * assertEquals(await port.receive({ match: ([tag]) => tag === "urgent" }), ["urgent", 2]);
 * assertEquals(await port.receive(), ["later", 1]);
 * assertEquals(await port.receive({ timeout: 1 }), null);
 * ```
 */
// deno-lint-ignore no-explicit-any -- any interface
export class Port<P = any> implements Disposable, AsyncIterable<ReceivedOf<P>> {
  readonly #core: PortCore;

  private constructor(core: PortCore) {
    if (!(core instanceof PortCore)) throw notConstructible("Port", "node.port()");
    this.#core = core;
    cores.set(this, core);
  }

  /** Send it to others: whoever has it can send messages to the port. */
  get id(): PortId<P> {
    return this.#core.id as PortId<P>;
  }

  /** Aborts when the port ends. The error's `reason` says why. */
  get signal(): AbortSignal {
    return this.#core.signal;
  }

  /** How many messages wait for a handler or for `receive`. */
  get queued(): number {
    return this.#core.queued;
  }

  /**
   * Handles the messages that begin with `tag`. The handler gets what follows the tag. If the message is a call of
   * `at`, the handler's result is the answer.
   *
   * @returns disposing it removes the handler
   * @throws {TypeError} if the tag has a handler already
   */
  on<K extends string>(tag: K, handler: HandlerOf<P, K>): Disposable {
    if (typeof tag !== "string") {
      throw new TypeError(`Cannot handle messages with the tag ${describe(tag)}: give a string`);
    }
    checkFunction(handler, `as the handler of ${describe(tag)}`);
    return this.#core.on(tag, new Handler(handler, undefined, false));
  }

  /**
   * Handles all messages that no other handler takes. The handler gets the whole message.
   *
   * @returns disposing it removes the handler
   * @throws {TypeError} if there is such a handler already
   */
  // deno-lint-ignore no-explicit-any -- any message
  onMessage(handler: (...message: any[]) => unknown): Disposable {
    checkFunction(handler, "as the handler of messages");
    return this.#core.onMessage(new Handler(handler, undefined, true));
  }

  /**
   * Waits for a message, and takes it before any handler can. Others stay where they are, in their order.
   *
   * @returns null: none came within `timeout`
   * @throws {TandemError} `PORT_DIED` with its `reason` if the port has ended abnormally, `CLOSED` otherwise
   */
  async receive(options: ReceiveOptions<ReceivedOf<P>> = {}): Promise<ReceivedOf<P> | null> {
    return await this.#core.receive(options as ReceiveOptions) as ReceivedOf<P> | null;
  }

  /** The messages, as {@linkcode receive} returns them, until the port ends. An abnormal end is an error. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedOf<P>, void, void> {
    while (true) {
      let message: unknown[] | null;
      try {
        message = await this.#core.receive({});
      } catch (error) {
        if (error instanceof TandemError && error.code === "CLOSED") return;
        throw error;
      }
      yield message as ReceivedOf<P>;
    }
  }

  /**
   * Runs a function as a part of the port: if it throws, or if its promise rejects, the port ends. If the port has
   * ended, the function does not run.
   *
   * @returns what the function returns; undefined if it has thrown, or has not run
   */
  run<A extends unknown[], R>(
    fn: (...args: A) => R,
    ...args: A
  ): R extends PromiseLike<infer V> ? Promise<V | undefined> : R | undefined {
    checkFunction(fn, "in port.run");
    return this.#run(fn, undefined, args) as ReturnType<typeof this.run<A, R>>;
  }

  /** A function that runs `fn` as {@linkcode run} does: for timers, events and callbacks of other libraries. */
  bind<A extends unknown[], R>(
    fn: (...args: A) => R,
  ): (...args: A) => R extends PromiseLike<infer V> ? Promise<V | undefined> : R | undefined {
    checkFunction(fn, "in port.bind");
    const run = (self: unknown, args: A) => this.#run(fn, self, args);
    return function (this: unknown, ...args: A) {
      return run(this, args);
    } as ReturnType<typeof this.bind<A, R>>;
  }

  #run(fn: AnyFunction, self: unknown, args: unknown[]): unknown {
    const core = this.#core;
    if (core.ended) return undefined;
    const outer = currentInvocation();
    const before = enter(core);
    try {
      // A part of the message that the port handles, if it does.
      const invocation = outer?.port === core ? outer : core.invocation();
      const result: unknown = runInvocation(invocation, () => fn.apply(self, args));
      if (!isThenable(result)) return result;
      return Promise.resolve(result).then(undefined, (error) => core.fail(error));
    } catch (error) {
      core.fail(error);
      return undefined;
    } finally {
      leave(before);
    }
  }

  /**
   * Disposes something when the port ends; the last that was given comes first.
   *
   * @returns the same
   */
  use<T extends Disposable | AsyncDisposable>(resource: T): T {
    const isDisposable = Object(resource) === resource &&
      (Symbol.dispose in resource || Symbol.asyncDispose in resource);
    if (!isDisposable) {
      throw new TypeError(
        `Cannot dispose ${
          describe(resource)
        } with the port: give something with [Symbol.dispose]()`,
      );
    }
    this.#core.use(resource);
    return resource;
  }

  /**
   * Ends the port at once. Messages that wait are dropped, and calls fail with `PORT_DIED`. Without a reason, the end
   * is normal: ports that are linked to it go on.
   *
   * @throws {TypeError} for a wrong reason
   * @throws {TandemError} `NOT_SERIALIZABLE` for details that cannot be sent
   */
  kill(reason?: KillReason): void {
    const { home } = this.#core;
    const why = killReason(reason, home.id);
    if (why.details.length > 0) home.checkValues("details", why.details);
    this.#core.end(why);
  }

  /** As {@linkcode kill} without a reason. */
  [Symbol.dispose](): void {
    this.kill();
  }

  /** For printers. */
  get [Symbol.toStringTag](): string {
    return `Port ${this.#core.id}`;
  }
}

/** The constructor of {@linkcode Port} for this package. */
export const PortMaker: Maker<PortCore, Port> = Port as unknown as Maker<PortCore, Port>;
