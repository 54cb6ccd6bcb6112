/**
 * Asks other ports, and takes what they answer.
 *
 * @module
 */
import type { Thrown } from "../../codec/decoder.ts";
import { type ErrorCode, type Reason, TandemError } from "../../errors.ts";
import { errorOfCall } from "../../rpc/call_errors.ts";
import { thrownError } from "../../rpc/replies.ts";
import { type FrameEncoder, giveEncoder, Kind, takeEncoder } from "../frames.ts";
import { makeReason, portDied } from "../reason.ts";
import type { AnswerHandler } from "./inbox.ts";
import type { NodeBase } from "./node_base.ts";
import type { Outbox } from "./outbox.ts";
import {
  type Maker,
  OutgoingRequests,
  type PendingRequest,
  placed,
  type RequestPlace,
  triedText,
} from "./outgoing.ts";

export class Requests implements AnswerHandler {
  readonly #base: NodeBase;
  readonly #outbox: Outbox;
  /** Those that wait for their answers. */
  readonly waiting: OutgoingRequests;
  #nextNumber = 1;

  constructor(base: NodeBase, outbox: Outbox) {
    this.#base = base;
    this.#outbox = outbox;
    const { hold, release } = base.holder;
    this.waiting = new OutgoingRequests((request) => this.#postCancel(request), hold, release);
  }

  /**
   * Asks. The promise is the answer.
   *
   * @param timeout NaN: for ever
   * @param maker the handler that asks
   * @param write writes the items of the frame, of which the number of the request is one
   */
  ask(
    place: RequestPlace,
    timeout: number,
    signal: AbortSignal | undefined,
    maker: Maker | null,
    kind: number,
    items: number,
    write: (encoder: FrameEncoder, number: number) => void,
  ): Promise<unknown> {
    const encoder = takeEncoder();
    try {
      const number = this.#nextNumber++;
      encoder.open(this.#base.limits, kind, items);
      write(encoder, number);
      const bytes = encoder.bytesOf();
      const request = this.waiting.open(number, place, timeout, signal, maker);
      if (!this.#outbox.post(place.node, "", bytes, true)) {
        const reason = makeReason("no_such_port", `no node ${place.node} is up`, place.node);
        this.#fail([this.waiting.take(number, place.node)!], reason);
      }
      return request.promise;
    } finally {
      giveEncoder(encoder);
    }
  }

  /** A request that this node answers itself: so deadline, signal and close end it. */
  askNobody(
    place: RequestPlace,
    timeout: number,
    signal: AbortSignal | undefined,
  ): { promise: Promise<unknown>; take(): PendingRequest<unknown> | null } {
    const number = this.#nextNumber++;
    const { promise } = this.waiting.open(number, place, timeout, signal, null);
    return { promise, take: () => this.waiting.take(number, place.node) };
  }

  #postCancel({ id, place }: PendingRequest<unknown>): void {
    this.#outbox.postFrame(place.node, Kind.cancel, 2, (encoder) => encoder.unsigned(id));
  }

  onAnswer(from: string, id: number, value: unknown): void {
    this.waiting.take(id, from)?.resolve(value);
  }

  onThrown(from: string, id: number, thrown: Thrown): void {
    const request = this.waiting.take(id, from);
    if (request) rejectWith(request, thrownError(thrown, this.#base.thrownClasses));
  }

  onFailed(from: string, id: number, code: string, message: string, reason: Reason | null): void {
    const request = this.waiting.take(id, from);
    if (!request) return;
    const error = new TandemError(code as ErrorCode, message);
    if (reason) error.reason = reason;
    const { target, method } = request.place;
    request.reject(placed(error, target, method));
  }

  onUnreadableAnswer(from: string, id: number, error: TandemError): void {
    const request = this.waiting.take(id, from);
    if (request) rejectWith(request, error);
    else this.#base.dropMalformed(from, error);
  }

  /** A node is gone, or the link to it was cut. */
  lose(node: string, reason: Reason): void {
    this.#fail(this.waiting.takeAllOf(node), reason);
  }

  #fail(requests: readonly PendingRequest<unknown>[], reason: Reason): void {
    for (const request of requests) {
      const { place } = request;
      request.reject(placed(portDied(triedText(place), reason), place.target, place.method));
    }
  }

  /** The node is closed. */
  close(): void {
    this.waiting.close();
  }
}

function rejectWith(request: PendingRequest<unknown>, error: Error): void {
  const { target, method } = request.place;
  request.reject(errorOfCall(error, { target, method, site: undefined }, true, undefined));
}
