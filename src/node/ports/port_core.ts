/**
 * A port behind its public face: its messages, its handlers, and its end.
 *
 * @module
 */
import { endedByClosing } from "../../base/closing.ts";
import { checkTimeout, describe } from "../../base/checks.ts";
import { isThenable, remark, report } from "../../base/guard.ts";
import { type Reason, TandemError } from "../../errors.ts";
import { isNormal, portDied, reasonText } from "../reason.ts";
import { queueMicrotask } from "../../runtime/timers.ts";
import { Fifo } from "./fifo.ts";
import type { Handler } from "./handler.ts";
import {
  beginUnfollowed,
  endUnfollowed,
  enter,
  hasUnfollowed,
  IncomingCall,
  Invocation,
  type InvocationPort,
  leave,
  runInvocation,
} from "./invocation.ts";
import { type ReceiveOptions, Receiver } from "./receiver.ts";

/** What a port needs of its node. */
export interface PortHome {
  readonly id: string;
  /** The reason of a port whose code has thrown. */
  deathBy(error: unknown): Reason;
  makeReason(kind: "unhandled_message" | "overflow" | "shutdown", message: string): Reason;
  /** The port ends: nobody finds it any more. Its code has not heard of it yet. */
  portEnds(port: PortCore): void;
  /** The port has ended. Returns whether anybody was told. */
  portEnded(port: PortCore, reason: Reason): boolean;
  /** @throws {TandemError} unless the values can be sent */
  checkValues(name: string, values: readonly unknown[]): void;
  /** The queue has room again. */
  portHasRoom(port: PortCore): void;
  /** Keeps the process alive while something waits, or may have to be handled. */
  hold(): void;
  release(): void;
}

/** Who hears of the end of a port, and who waits for room in it: a node, and its number for that. */
export interface Watcher {
  readonly node: string;
  readonly id: number;
}

export class PortCore implements InvocationPort {
  readonly id: string;
  readonly local: string;
  readonly home: PortHome;
  readonly concurrency: number;
  readonly maxQueue: number;
  ended: Reason | null = null;
  /** By node and number. */
  readonly watchers: Map<string, Watcher> = new Map();
  readonly roomWaiters: Map<string, Watcher> = new Map();

  readonly #handlers: Map<string, Handler>;
  #fallback: Handler | null = null;
  #fallbackTakesCalls = true;
  /** Messages without a handler wait for `receive`. */
  #isMailbox: boolean;
  /** Code has asked for messages with `receive`. */
  #hasReceived = false;
  /** What no handler has got yet. */
  readonly #pending: Fifo<unknown[] | IncomingCall> = new Fifo();
  /** What waits for `receive`, and came before everything that is pending. */
  readonly #mailbox: Fifo<unknown[]> = new Fifo();
  readonly #receivers: Set<Receiver> = new Set();
  #running = 0;
  #invocations = 0;
  /** It has had handlers. */
  #isServing = false;
  /** The invocation of the function that runs at this moment. */
  #current: Invocation | null = null;
  /** Numbers of handlers that have not ended. */
  readonly #unfinished: Set<number> = new Set();
  /** Calls that are handled. */
  readonly #calls: Set<IncomingCall> = new Set();
  #controller: AbortController | null = null;
  readonly #used: (Disposable | AsyncDisposable)[] = [];

  /** @param handlers null: none are given yet, and messages wait for `receive` */
  constructor(
    home: PortHome,
    id: string,
    local: string,
    handlers: Map<string, Handler> | null,
    concurrency: number,
    maxQueue: number,
  ) {
    this.home = home;
    this.id = id;
    this.local = local;
    this.#handlers = handlers ?? new Map();
    this.#isMailbox = handlers === null;
    this.concurrency = concurrency;
    this.maxQueue = maxQueue;
    if (handlers) this.#serve();
  }

  /** Its process stays alive for it, as for any server. The port of the node itself is always there. */
  #serve(): void {
    if (this.#isServing || this.local === "") return;
    this.#isServing = true;
    this.home.hold();
  }

  get queued(): number {
    return this.#pending.length + this.#mailbox.length;
  }

  get hasRoom(): boolean {
    return this.queued * 2 < this.maxQueue;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.ended) this.#controller.abort(this.#endedError("wait for it"));
    return this.#controller.signal;
  }

  // Handlers

  on(tag: string, handler: Handler): Disposable {
    if (this.ended) throw this.#endedError(`handle ${describe(tag)}`);
    if (this.#handlers.has(tag)) {
      throw new TypeError(
        `Cannot handle ${
          describe(tag)
        } in the port ${this.id}: it has a handler already; dispose that one first`,
      );
    }
    this.#handlers.set(tag, handler);
    this.#hasHandlers();
    return {
      [Symbol.dispose]: () => {
        if (this.#handlers.get(tag) === handler) this.#handlers.delete(tag);
      },
    };
  }

  /** @param takesCalls whether calls without a handler go there, too; otherwise they fail */
  onMessage(handler: Handler, takesCalls: boolean = true): Disposable {
    if (this.ended) throw this.#endedError("handle messages");
    if (this.#fallback) {
      throw new TypeError(
        `Cannot handle all messages of the port ${this.id}: onMessage has a handler already; dispose that one first`,
      );
    }
    this.#fallback = handler;
    this.#fallbackTakesCalls = takesCalls;
    this.#hasHandlers();
    return {
      [Symbol.dispose]: () => {
        if (this.#fallback === handler) this.#fallback = null;
      },
    };
  }

  /** What waited for a receiver, though nobody has ever asked for one, is handled now. */
  #hasHandlers(): void {
    this.#serve();
    if (!this.#isMailbox || this.#hasReceived) return;
    this.#isMailbox = false;
    if (this.#mailbox.length === 0) return;
    for (const message of this.#mailbox) this.#pending.push(message);
    this.#mailbox.clear();
    // After the code that adds handlers has added them all.
    queueMicrotask(() => this.#pump());
  }

  // Messages

  /** Takes a message or a call. Never throws. */
  deliver(item: unknown[] | IncomingCall): void {
    if (this.ended !== null) return this.#refuse(item);
    if (this.#receivers.size > 0 && Array.isArray(item) && this.#offer(item)) return;
    if (this.ended !== null) return;
    if (this.#running < this.concurrency && this.#pending.length === 0) return this.#handle(item);
    this.#enqueue(this.#pending, item);
  }

  #refuse(item: unknown[] | IncomingCall): void {
    if (item instanceof IncomingCall) this.#failCall(item, this.ended!);
  }

  #offer(message: unknown[]): boolean {
    for (const receiver of [...this.#receivers]) if (receiver.offer(message)) return true;
    return false;
  }

  #enqueue<T>(queue: Fifo<T>, item: T): void {
    queue.push(item);
    if (this.queued <= this.maxQueue) return;
    this.end(
      this.home.makeReason(
        "overflow",
        `more than ${this.maxQueue} messages wait (maxQueue of the port)`,
      ),
    );
  }

  #handle(item: unknown[] | IncomingCall): void {
    if (item instanceof IncomingCall) return this.#handleCall(item);
    const tag = item[0];
    const handler = typeof tag === "string" ? this.#handlers.get(tag) : undefined;
    if (handler !== undefined) this.run(handler, item, null);
    else if (this.#fallback !== null) this.run(this.#fallback, item, null);
    else if (this.#isMailbox) this.#enqueue(this.#mailbox, item);
    else this.#endUnhandled(tag);
  }

  #endUnhandled(tag: unknown): void {
    this.end(
      this.home.makeReason(
        "unhandled_message",
        `no handler for the message ${describe(tag)}; the port has ${this.#handlerNames()}`,
      ),
    );
  }

  #handlerNames(): string {
    const names = [...this.#handlers.keys()].slice(0, 20).map((name) => JSON.stringify(name));
    return names.length === 0 ? "no handlers" : `handlers for ${names.join(", ")}`;
  }

  #handleCall(call: IncomingCall): void {
    if (call.isOver) return;
    const fallback = this.#fallbackTakesCalls ? this.#fallback : null;
    const handler = this.#handlers.get(call.method) ?? fallback;
    if (handler) return this.run(handler, call.message, call);
    const error = new TandemError(
      "UNKNOWN_METHOD",
      `The port ${this.id} has no handler for ${
        describe(call.method)
      }; it has ${this.#handlerNames()}`,
    );
    call.home.answerFailed(call, error);
  }

  /** Runs a handler now. Never throws. */
  run(handler: Handler, message: readonly unknown[], call: IncomingCall | null): void {
    const before = enter(this);
    const outer = this.#current;
    this.#current = call;
    let result: unknown;
    let hasPromise = false;
    let isFollowed = true;
    try {
      if (call) this.#calls.add(call);
      if (call || handler.mayAwait || hasUnfollowed()) {
        const body = () => handler.invoke(message);
        result = runInvocation(call ?? this.invocation(), body);
      } else {
        isFollowed = false;
        result = handler.invoke(message);
      }
      hasPromise = isThenable(result);
    } catch (error) {
      this.#threw(call, error);
      return;
    } finally {
      if (hasPromise) this.#await(handler, call, result as PromiseLike<unknown>, isFollowed);
      this.#current = outer;
      leave(before);
    }
    if (hasPromise) return;
    handler.ran();
    if (call) this.#answer(call, result);
  }

  #await(
    handler: Handler,
    call: IncomingCall | null,
    result: PromiseLike<unknown>,
    isFollowed: boolean,
  ): void {
    handler.hasAwaited();
    const invocation = this.invocation();
    const { number } = invocation;
    if (!isFollowed) beginUnfollowed(invocation);
    this.#unfinished.add(number);
    this.#running += 1;
    Promise.resolve(result).then(
      (value) => {
        this.#finished(invocation);
        if (call) this.#answer(call, value);
        this.#pump();
      },
      (error) => {
        this.#finished(invocation);
        this.#threw(call, error);
        this.#pump();
      },
    );
  }

  #finished(invocation: Invocation): void {
    this.#running -= 1;
    this.#unfinished.delete(invocation.number);
    endUnfollowed(this, invocation);
  }

  #answer(call: IncomingCall, value: unknown): void {
    this.#calls.delete(call);
    if (!call.isOver) call.home.answer(call, value);
  }

  #threw(call: IncomingCall | null, error: unknown): void {
    if (!call) return this.fail(error);
    this.#calls.delete(call);
    if (!call.isOver) call.home.answerThrown(call, error);
  }

  /** Ends the port, because its code has thrown. */
  fail(error: unknown): void {
    if (this.ended !== null) return;
    const reason = this.home.deathBy(error);
    if (!this.#end(reason)) report(this, `the port ${this.id}`, error);
  }

  #pump(): void {
    while (this.ended === null && this.#running < this.concurrency) {
      const item = this.#pending.shift();
      if (item === undefined) break;
      this.#handle(item);
    }
    if (this.roomWaiters.size > 0 && this.hasRoom) this.home.portHasRoom(this);
  }

  /** The caller of a call does not wait any more. */
  cancel(call: IncomingCall, reason: unknown): void {
    this.#pending.remove(call);
    this.#calls.delete(call);
    this.#abort(call, reason);
    if (this.roomWaiters.size > 0 && this.hasRoom) this.home.portHasRoom(this);
  }

  // Invocations

  invocation(): Invocation {
    return this.#current ??= new Invocation(this, this.nextNumber());
  }

  nextNumber(): number {
    return this.#invocations++;
  }

  /**
   * Where a call with these callers would wait for itself: all places of the port are taken by handlers
   * that wait for it. The result is the index of the first of them among the callers, or -1.
   */
  cycleIn(callers: readonly (string | number)[]): number {
    let first = -1;
    let waiting = 0;
    for (let at = 0; at < callers.length; at += 2) {
      if (callers[at] !== this.id || !this.#unfinished.has(callers[at + 1] as number)) continue;
      waiting += 1;
      if (first < 0) first = at;
    }
    return waiting >= this.concurrency ? first : -1;
  }

  /** Whether a handler has begun and not ended, so that the port waits for what the handler waits for. */
  waitsWith(number: number): boolean {
    return this.#unfinished.has(number);
  }

  /**
   * The handlers that have to end before a call is answered, or before the queue has room (null). None if more than
   * one may end first.
   */
  blockersOf(call: IncomingCall | null): number[] {
    if (call && this.#unfinished.has(call.number)) return [call.number];
    return this.concurrency === 1 ? [...this.#unfinished] : [];
  }

  // Receive

  receive(options: ReceiveOptions): Promise<unknown[] | null> {
    const { match, signal } = options;
    if (match !== undefined && typeof match !== "function") {
      throw new TypeError(`Cannot use ${describe(match)} as match: give a function of the message`);
    }
    const timeout = checkTimeout(options.timeout ?? Infinity, "timeout");
    if (this.ended) return Promise.reject(this.#endedError("receive from it"));
    this.#hasReceived = this.#isMailbox = true;
    const receiver = new Receiver(
      match as ((message: unknown[]) => boolean) | undefined,
      (receiver) => {
        this.#receivers.delete(receiver);
        this.home.release();
      },
    );
    this.home.hold();
    if (signal?.aborted) receiver.wait(NaN, signal);
    else {
      // Added first: it may be ended while `match` looks at messages.
      this.#receivers.add(receiver);
      this.#takeFor(receiver);
      if (!receiver.isOver) receiver.wait(timeout, signal);
    }
    return receiver.promise;
  }

  #takeFor(receiver: Receiver): void {
    try {
      const wants = (item: unknown[] | IncomingCall) => Array.isArray(item) && receiver.wants(item);
      const message = this.#mailbox.take(wants) ?? this.#pending.take(wants);
      if (message === undefined) return;
      receiver.take(message as unknown[]);
      if (this.roomWaiters.size > 0 && this.hasRoom) this.home.portHasRoom(this);
    } catch (error) {
      receiver.fail(error);
    }
  }

  #endedError(tried: string): TandemError {
    const reason = this.ended!;
    if (!isNormal(reason)) return portDied(`${tried} (${this.id})`, reason);
    const error = new TandemError(
      "CLOSED",
      `Cannot ${tried}: the port ${this.id} has ended (${reasonText(reason)})`,
    );
    error.reason = reason;
    return endedByClosing(error);
  }

  // Ends

  /** Disposes it when the port ends; at once if it has. */
  use(resource: Disposable | AsyncDisposable): void {
    if (this.ended) this.#dispose(resource);
    else this.#used.push(resource);
  }

  #dispose(resource: Disposable | AsyncDisposable): void {
    try {
      if (Symbol.dispose in resource) resource[Symbol.dispose]();
      else {
        Promise.resolve(resource[Symbol.asyncDispose]())
          .then(
            undefined,
            (error) => report(resource, "what a port has used, when disposed,", error),
          );
      }
    } catch (error) {
      report(resource, "what a port has used, when disposed,", error);
    }
  }

  /** Ends the port. Never throws. */
  end(reason: Reason): void {
    if (this.ended !== null || this.#end(reason)) return;
    // Nobody monitors it, so its author hears of it on the console.
    if (reason.kind !== "unhandled_message" && reason.kind !== "overflow") return;
    remark(`the port ${this.id} has ended (${reasonText(reason)})`);
  }

  /** Returns whether anybody was told. */
  #end(reason: Reason): boolean {
    this.ended = reason;
    this.home.portEnds(this);
    for (const item of this.#pending) this.#refuse(item);
    this.#pending.clear();
    this.#mailbox.clear();
    for (const call of [...this.#calls]) this.#failCall(call, reason);
    this.#calls.clear();
    endUnfollowed(this);
    const error = this.#endedError("receive from it");
    for (const receiver of [...this.#receivers]) receiver.fail(error);
    this.#abortSignal(error);
    for (const resource of this.#used.splice(0).reverse()) this.#dispose(resource);
    this.#handlers.clear();
    this.#fallback = null;
    if (this.#isServing) this.home.release();
    return this.home.portEnded(this, reason);
  }

  #failCall(call: IncomingCall, reason: Reason): void {
    const error = portDied(`call ${call.method} of ${this.id}`, reason);
    if (!call.isOver) call.home.answerFailed(call, error);
    this.#abort(call, error);
  }

  #abort(call: IncomingCall, reason: unknown): void {
    try {
      call.abort(reason);
    } catch (error) {
      report(call, "a listener of a call's signal", error);
    }
  }

  #abortSignal(error: unknown): void {
    try {
      this.#controller?.abort(error);
    } catch (thrown) {
      report(this, "a listener of a port's signal", thrown);
    }
  }
}
