/**
 * What runs in a port: a handler with its message, or a function of `run` and `bind`. Calls that it makes say so,
 * because a call that comes back to a port which waits for it could never be answered.
 *
 * @module
 */
import type { CallContext } from "../../rpc/context.ts";
import { callContext, prepareContexts, runInContext } from "../../rpc/context.ts";
import type { TandemError } from "../../errors.ts";
import type { Peer } from "../../base/peer.ts";
import { type Metadata, noMetadata } from "../../rpc/metadata.ts";
import { type ContextVariable, contextVariable } from "../../runtime/context.ts";
import { now } from "../../runtime/timers.ts";

/** Waiting handlers, from the first caller to the last: the id of each one's port, and its number there. */
export type Chain = readonly (string | number)[];

const noChain: Chain = [];

/** The port of an invocation. */
export interface InvocationPort {
  readonly id: string;
  /** The invocation of the function that runs at this moment, made when it is first asked for. */
  invocation(): Invocation;
  /** Whether the function of that number has begun and not ended, and takes a place of the port. */
  waitsWith(number: number): boolean;
}

export class Invocation {
  readonly port: InvocationPort;
  readonly number: number;

  constructor(port: InvocationPort, number: number) {
    this.port = port;
    this.number = number;
  }

  /** For the calls that it makes. */
  get chain(): Chain {
    return [...this.callers, this.port.id, this.number];
  }

  get callers(): Chain {
    return noChain;
  }
}

/** What a call needs of its node. */
export interface CallHome {
  peerOf(node: string): Peer;
  answer(call: IncomingCall, value: unknown): void;
  answerThrown(call: IncomingCall, error: unknown): void;
  answerFailed(call: IncomingCall, error: TandemError): void;
}

/** A call that a port handles, or is to handle. `callContext()` returns it to the handler. */
export class IncomingCall extends Invocation implements CallContext {
  readonly home: CallHome;
  /** The caller's node, and its number for the call. */
  readonly node: string;
  readonly id: number;
  readonly message: unknown[];
  readonly #callers: Chain;
  readonly #deadline: number;
  #controller: AbortController | null = null;
  #reason: unknown = undefined;
  /** It was answered, or the caller does not wait any more. */
  isOver = false;

  readonly deliveries: number = 1;
  readonly traceparent: undefined;
  readonly tracestate: undefined;
  readonly metadata: Metadata = noMetadata;

  constructor(
    home: CallHome,
    port: InvocationPort,
    number: number,
    from: { readonly node: string; readonly id: number },
    message: unknown[],
    callers: Chain,
    milliseconds: number,
  ) {
    super(port, number);
    this.home = home;
    this.node = from.node;
    this.id = from.id;
    this.message = message;
    this.#callers = callers;
    this.#deadline = milliseconds === Infinity ? Infinity : now() + milliseconds;
  }

  override get callers(): Chain {
    return this.#callers;
  }

  get method(): string {
    return this.message[0] as string;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  get timeRemaining(): number {
    return this.isOver ? Infinity : Math.max(0, this.#deadline - now());
  }

  get peer(): Peer {
    return this.home.peerOf(this.node);
  }

  /** Aborts its signal. Listeners that throw are the runtime's to report. */
  abort(reason: unknown): void {
    this.isOver = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/** What contexts hold in which a node delivers messages, outside of any handler. */
const delivery = Symbol("delivery");

let variable: ContextVariable<Invocation | typeof delivery> | null = null;
/** A handler that has begun in the context of deliveries, and awaits something there. */
let unfollowed: Invocation | null = null;
/** The port whose code runs at this moment, until it awaits something. */
let running: InvocationPort | null = null;

/** Makes contexts follow handlers across `await`. */
export function prepareInvocations(): void {
  prepareContexts();
  variable ??= contextVariable<Invocation | typeof delivery>();
}

/** Runs what will deliver messages, so that {@linkcode unfollowedInvocation} knows of their handlers. */
export function runDelivery<T>(body: () => T): T {
  return variable!.run(delivery, body);
}

/** Whether this is the context of {@linkcode runDelivery}. */
function isDelivering(): boolean {
  return variable!.getStore() === delivery;
}

/**
 * A handler that was not expected to await anything does so: its context does not tell it from others. So until it
 * ends, all others run in contexts of their own.
 */
export function beginUnfollowed(invocation: Invocation): void {
  if (isDelivering()) unfollowed = invocation;
}

/** A handler has ended; or all that wait in a port, since the port has. */
export function endUnfollowed(port: InvocationPort, invocation?: Invocation): void {
  if (unfollowed?.port !== port) return;
  if (invocation === undefined || unfollowed === invocation) unfollowed = null;
}

export function hasUnfollowed(): boolean {
  return unfollowed !== null;
}

/** The handler that most likely runs now, if {@linkcode currentInvocation} knows none. */
export function unfollowedInvocation(): Invocation | undefined {
  return unfollowed !== null && isDelivering() ? unfollowed : undefined;
}

/** Notes whose code begins to run; the result is to be given to {@linkcode leave}. */
export function enter(port: InvocationPort): InvocationPort | null {
  const before = running;
  running = port;
  return before;
}

export function leave(before: InvocationPort | null): void {
  running = before;
}

/** Runs `body` so that {@linkcode currentInvocation} knows it, also behind an `await`. */
export function runInvocation<T>(invocation: Invocation, body: () => T): T {
  return invocation instanceof IncomingCall
    ? runInContext(invocation, body)
    : variable!.run(invocation, body);
}

/** What runs now; undefined: nothing that belongs to a port. */
export function currentInvocation(): Invocation | undefined {
  if (running !== null) return running.invocation();
  const found = variable?.getStore();
  if (found instanceof Invocation) return found;
  const call = callContext();
  return call instanceof IncomingCall ? call : undefined;
}
