/**
 * A request of the memory transport that a receiver holds.
 *
 * @module
 */
import type { Peer } from "../base/peer.ts";
import { textOf } from "../base/guard.ts";
import { RemoteError, TandemError } from "../errors.ts";
import type { MemoryCall } from "./memory_call.ts";
import type { MemoryHub } from "./memory_hub.ts";
import { ownPeer } from "./own_peer.ts";
import type { Bytes, Delivery } from "./transport.ts";

export class MemoryDelivery implements Delivery {
  readonly call: MemoryCall;
  readonly deliveries: number;
  readonly isForwarded = false;
  readonly origin = undefined;
  readonly #hub: MemoryHub;
  /** Forgets the delivery once it is answered; false: the receiver is closed. */
  readonly #release: (delivery: MemoryDelivery) => boolean;
  #abort: AbortController | null = null;
  #allocated: Bytes | null = null;
  #isAnswered = false;

  constructor(
    hub: MemoryHub,
    call: MemoryCall,
    release: (delivery: MemoryDelivery) => boolean,
  ) {
    this.#hub = hub;
    this.call = call;
    this.#release = release;
    this.deliveries = call.deliveries;
    call.onSenderLost = (reason) => this.#abort?.abort(reason);
  }

  get bytes(): Bytes {
    return this.call.request;
  }

  get timeRemaining(): number {
    return this.call.timeRemaining;
  }

  get peer(): Peer {
    return ownPeer();
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  get signal(): AbortSignal {
    if (this.#abort) return this.#abort.signal;
    this.#abort = new AbortController();
    const { lostBecause } = this.call;
    if (lostBecause && !this.#isAnswered) this.#abort.abort(lostBecause);
    return this.#abort.signal;
  }

  allocate(byteLength: number): Bytes {
    this.#checkLength(byteLength);
    if (this.#isAnswered) throw closed("allocate a response: the request is answered already");
    return this.#allocated = new Uint8Array(byteLength);
  }

  allocateInstead(byteLength: number): Bytes {
    return this.allocate(byteLength);
  }

  reply(answer: Bytes): boolean {
    if (this.#isAnswered) return false;
    this.#checkLength(answer.byteLength);
    // Before the request ends: there may be no memory for a copy.
    const kept = answer === this.#allocated ? answer : answer.slice();
    this.#finish("reply");
    return this.#hub.answer(this.call, kept);
  }

  fail(error: unknown): boolean {
    if (this.#isAnswered) return false;
    const remote = new RemoteError({ name: "Error", message: textOf(error) });
    this.#finish("fail a request");
    return this.#hub.refuse(this.call, remote);
  }

  lastDelivery(): void {
    this.call.maxDeliveries = this.deliveries;
  }

  /** The receiver closes without an answer. */
  abandon(): void {
    // Also for a handler that looks at its signal only later.
    this.#abort ??= new AbortController();
    this.#abort.abort(this.call.lostBecause ?? receiverClosed());
  }

  #finish(tried: string): void {
    if (!this.#release(this)) throw closed(`${tried}: the service is closed`);
    this.#isAnswered = true;
    this.call.onSenderLost = null;
  }

  #checkLength(length: number): void {
    const { maxResponseBytes } = this.#hub.sizes;
    if (length <= maxResponseBytes) return;
    throw new TandemError(
      "TOO_LARGE",
      `Cannot reply with ${length} bytes: the target takes ${maxResponseBytes}; reply with fewer, ` +
        "or serve it with a larger maxResponseBytes",
    );
  }
}

function closed(tried: string): TandemError {
  return new TandemError("CLOSED", `Cannot ${tried}`);
}

function receiverClosed(): TandemError {
  return new TandemError(
    "CANCELLED",
    "The service was closed: clients get no more answers from it",
  );
}
