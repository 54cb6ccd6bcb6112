/**
 * What a server's promises wait for: requests, and the aborts that handlers listen to.
 *
 * @module
 */
import { armRequests } from "../ffi/layout.ts";
import { onAbort } from "./call_waits.ts";
import { closedError } from "./channel.ts";
import type { Waits } from "./loop.ts";
import type { ServerRequest } from "./request.ts";

interface Receiver {
  readonly max: number;
  readonly deadline: number;
  readonly stopListening: (() => void) | null;
  resolve(requests: ServerRequest[]): void;
  reject(error: unknown): void;
}

/** The pending promises of one server. */
export class ServerWaits implements Waits {
  readonly #takeMany: (max: number) => ServerRequest[];
  /** In the order of the calls, which is the order in which they get requests. */
  readonly #receivers: Set<Receiver> = new Set();
  /** With the deadlines of their clients. */
  readonly #watched: Map<ServerRequest, number> = new Map();

  /** @param takeMany what the ring has, up to a number */
  constructor(takeMany: (max: number) => ServerRequest[]) {
    this.#takeMany = takeMany;
  }

  /** Whether the process stays alive for promises that wait for requests. */
  isReferenced = true;

  get isPending(): boolean {
    return this.isReferenced && this.#receivers.size > 0;
  }

  /** Somebody waits already, and comes first. */
  get hasReceivers(): boolean {
    return this.#receivers.size > 0;
  }

  get isWaiting(): boolean {
    return this.#receivers.size > 0 || this.#watched.size > 0;
  }

  get wanted(): number {
    return this.#receivers.size > 0 ? armRequests : 0;
  }

  poll(): boolean {
    let hit = false;
    for (const request of this.#watched.keys()) {
      if (!request.isAnswered && !request.checkAbort()) continue;
      this.#watched.delete(request);
      hit = true;
    }
    for (const receiver of this.#receivers) {
      let requests: ServerRequest[];
      try {
        requests = this.#takeMany(receiver.max);
      } catch (error) {
        this.#end(receiver);
        receiver.reject(error);
        return true;
      }
      if (requests.length === 0) break;
      this.#end(receiver);
      receiver.resolve(requests);
      hit = true;
    }
    return hit;
  }

  hasMissed(): boolean {
    // A client that left before the sleep was announced has rung nobody.
    for (const request of this.#watched.keys()) if (request.cancelled) return true;
    return false;
  }

  expire(now: number): number {
    let next = Infinity;
    for (const [request, deadline] of this.#watched) {
      if (deadline > now) next = Math.min(next, deadline);
      else if (request.isAnswered || request.checkAbort()) this.#watched.delete(request);
    }
    for (const receiver of this.#receivers) {
      if (receiver.deadline > now) {
        next = Math.min(next, receiver.deadline);
        continue;
      }
      this.#end(receiver);
      receiver.resolve([]);
    }
    return next;
  }

  /** Set by the server: a wait was ended from outside the loop. */
  onSettled: () => void = () => {};

  /** Waits for requests; resolves with none when the time is over. */
  add(max: number, deadline: number, signal: AbortSignal | undefined): Promise<ServerRequest[]> {
    return new Promise((resolve, reject) => {
      const stopListening = signal
        ? onAbort(signal, () => {
          this.#end(receiver);
          reject(signal.reason);
          this.onSettled();
        })
        : null;
      const receiver: Receiver = { max, deadline, stopListening, resolve, reject };
      this.#receivers.add(receiver);
    });
  }

  /** A handler listens for this request's abort. */
  watch(request: ServerRequest, deadline: number): void {
    this.#watched.set(request, deadline);
  }

  close(): void {
    for (const receiver of this.#receivers) {
      receiver.stopListening?.();
      receiver.reject(closedError("server"));
    }
    this.#receivers.clear();
    this.#watched.clear();
  }

  #end(receiver: Receiver): void {
    receiver.stopListening?.();
    this.#receivers.delete(receiver);
  }
}
