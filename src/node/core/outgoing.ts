/**
 * Requests to other ports that wait for their answers: calls of `at`, and `ready`.
 *
 * @module
 */
import { onAbort, reasonOf } from "../../base/abort.ts";
import { Alarm } from "../../base/alarm.ts";
import { deadlineAfter } from "../../base/checks.ts";
import { endedByClosing, rejectAs } from "../../base/closing.ts";
import { TandemError } from "../../errors.ts";
import { now, wallClock } from "../../runtime/timers.ts";
import type { Invocation } from "../ports/invocation.ts";

/** What an error of a request says of it. */
export interface RequestPlace {
  /** The port. */
  readonly target: string;
  readonly method: string;
  readonly node: string;
}

/** The handler that has made a call, which may wait for the answer. */
export class Maker {
  readonly invocation: Invocation;
  /** In the time of `performance.now()`, and in that of the clock. */
  readonly since: number = now();
  readonly wallTime: number = wallClock();
  /** Its next probe goes out when it has waited so long; see `probes.ts`. */
  probeAfter: number;
  /** Known to nodes that have got its last probe. */
  probeKey = "";

  constructor(invocation: Invocation, probeAfter: number) {
    this.invocation = invocation;
    this.probeAfter = probeAfter;
  }
}

export class PendingRequest<T> {
  readonly id: number;
  readonly place: RequestPlace;
  /** In the time of `performance.now()`. */
  readonly deadline: number;
  readonly promise: Promise<T>;
  /** Null: no handler that could wait for it has made it. */
  readonly maker: Maker | null;
  resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  /** Ends the watch of the program's signal. */
  forgetSignal: (() => void) | null = null;

  constructor(id: number, place: RequestPlace, deadline: number, maker: Maker | null) {
    this.id = id;
    this.maker = maker;
    this.place = place;
    this.deadline = deadline;
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.#reject = reject;
    });
  }

  reject(error: unknown): void {
    rejectAs(this.promise, this.#reject, error);
  }
}

export class OutgoingRequests {
  readonly #cancel: (request: PendingRequest<unknown>) => void;
  readonly #hold: () => void;
  readonly #release: () => void;
  readonly #requests: Map<number, PendingRequest<unknown>> = new Map();
  readonly #alarm: Alarm = new Alarm(() => this.#expire(), () => this.#requests.size > 0);

  /** @param cancel tells the other side that a request does not matter any more */
  constructor(
    cancel: (request: PendingRequest<unknown>) => void,
    hold: () => void,
    release: () => void,
  ) {
    this.#cancel = cancel;
    this.#hold = hold;
    this.#release = release;
  }

  get size(): number {
    return this.#requests.size;
  }

  /** @param timeout NaN: for ever */
  open(
    id: number,
    place: RequestPlace,
    timeout: number,
    signal: AbortSignal | undefined,
    maker: Maker | null,
  ): PendingRequest<unknown> {
    const request = new PendingRequest<unknown>(id, place, deadlineAfter(timeout), maker);
    this.#requests.set(id, request);
    this.#hold();
    if (signal) {
      request.forgetSignal = onAbort(signal, () => this.giveUp(request, reasonOf(signal)));
    }
    if (request.deadline !== Infinity) this.#alarm.set(request.deadline);
    return request;
  }

  /** Those that handlers have made. */
  ofHandlers(): PendingRequest<unknown>[] {
    return [...this.#requests.values()].filter(({ maker }) => maker !== null);
  }

  /** Those that one handler has made: the first of them, up to a number. */
  madeBy(port: object, number: number, max: number): PendingRequest<unknown>[] {
    const found: PendingRequest<unknown>[] = [];
    for (const request of this.#requests.values()) {
      const invocation = request.maker?.invocation;
      if (invocation?.port !== port || invocation.number !== number) continue;
      if (found.push(request) === max) break;
    }
    return found;
  }

  /** Takes a request out of the table. Null: it is over, or another node has it. */
  take(id: number, node: string): PendingRequest<unknown> | null {
    const request = this.#requests.get(id);
    if (request === undefined || request.place.node !== node) return null;
    this.#remove(request);
    return request;
  }

  /** Takes the requests to a node. */
  takeAllOf(node: string): PendingRequest<unknown>[] {
    const found = [...this.#requests.values()].filter(({ place }) => place.node === node);
    for (const request of found) this.#remove(request);
    return found;
  }

  #remove(request: PendingRequest<unknown>): void {
    this.#requests.delete(request.id);
    request.forgetSignal?.();
    this.#release();
    if (this.#requests.size === 0) this.#alarm.rest();
  }

  /** Rejects a request, and tells the other side. Does nothing if it is over. */
  giveUp(request: PendingRequest<unknown>, error: unknown): void {
    if (this.take(request.id, request.place.node) === null) return;
    this.#cancel(request);
    request.reject(error);
  }

  #expire(): void {
    const time = now();
    let next = Infinity;
    for (const request of [...this.#requests.values()]) {
      if (request.deadline > time) next = Math.min(next, request.deadline);
      else this.giveUp(request, timedOut(request.place));
    }
    if (next !== Infinity) this.#alarm.set(next);
  }

  /** The node is closed. */
  close(): void {
    for (const request of [...this.#requests.values()]) {
      this.#remove(request);
      const { target, method } = request.place;
      const error = new TandemError(
        "CLOSED",
        `Cannot ${triedText(request.place)}: this node was closed`,
      );
      request.reject(endedByClosing(placed(error, target, method)));
    }
    this.#alarm.end();
  }
}

/** What was tried, for messages. */
export function triedText({ target, method }: RequestPlace): string {
  return method === "" ? `wait for room in ${target}` : `call ${method} of ${target}`;
}

/** Lets an error name its port and its method. */
export function placed(error: TandemError, target: string, method: string): TandemError {
  error.target = target;
  error.method = method;
  return error;
}

function timedOut(place: RequestPlace): TandemError {
  const error = new TandemError(
    "TIMEOUT",
    `Cannot ${
      triedText(place)
    }: no answer came in time; the port may be busy: raise timeout, or look at ` +
      "what it does",
  );
  return placed(error, place.target, place.method);
}
