/**
 * A server's side of its ledger: it writes down each delivery before it works on it.
 *
 * @module
 */
import { type Server, type ServerRequest, TandemError } from "../../../mod.ts";
import {
  type AnswerHead,
  answerHeadBytes,
  hashOf,
  payloadBytesMax,
  type RequestHead,
} from "./content.ts";
import { DeliveryOutcome, Head, ServerField, ServerFlag, State } from "./ledger.ts";
import { partsOf, type Stage } from "./player.ts";

/** A request that this server holds, and its record. */
export interface HeldRequest {
  readonly server: Server;
  readonly request: ServerRequest;
  readonly record: number;
  readonly head: RequestHead | null;
  readonly generation: number;
  readonly slot: number;
}

/** Writes a server's ledger. */
export class ServerLog {
  readonly #stage: Stage;
  readonly #held: Set<HeldRequest> = new Set();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  get heldCount(): number {
    return this.#held.size;
  }

  /** From now on that many requests may be taken and not yet be in the ledger. */
  expect(count: number): void {
    this.#stage.ledger.head.add(Head.taking, count);
  }

  /** Writes down a delivery; the counterpart of {@linkcode expect}. */
  take(server: Server, requests: readonly ServerRequest[], expected: number): HeldRequest[] {
    this.#stage.beat();
    const handed = requests.map((request) => this.#begin(server, request));
    this.#stage.ledger.head.add(Head.taking, -expected);
    return handed;
  }

  #begin(server: Server, request: ServerRequest): HeldRequest {
    const { ledger, content } = this.#stage;
    const record = ledger.begin();
    const set = (field: number, value: number) => ledger.set(record, field, value);
    const { generation, slot } = partsOf(request.id);
    let flags = request.oneWay ? ServerFlag.oneWay : 0;
    let head: RequestHead | null = null;
    set(ServerField.delivery, request.deliveries);
    set(ServerField.generation, generation);
    set(ServerField.slot, slot + 1);
    set(ServerField.start, this.#stage.now());
    const bytes = readable(request);
    if (bytes) {
      head = content.requestHead(bytes);
      set(ServerField.client, head?.client ?? 0);
      set(ServerField.number, head?.number ?? 0);
      set(ServerField.length, bytes.length);
      if (!head) set(ServerField.hash, hashOf(bytes));
    } else {
      flags |= ServerFlag.unreadable;
    }
    set(ServerField.flags, flags);
    set(ServerField.state, State.begun);
    const handed = { server, request, record, head, generation, slot };
    if (bytes) this.#held.add(handed);
    else this.end(handed, DeliveryOutcome.closed);
    this.check(handed);
    return handed;
  }

  /** Whether the request still is as its client sent it, as it has to be until the answer. */
  check({ request, record, head }: HeldRequest): void {
    const bytes = readable(request);
    if (!head || !bytes || this.#stage.content.isRequest(bytes, head)) return;
    const { ledger } = this.#stage;
    ledger.set(
      record,
      ServerField.flags,
      ledger.get(record, ServerField.flags) | ServerFlag.wrongBytes,
    );
    this.#stage.note(`record ${record}: a request of ${bytes.length} bytes has wrong ones`);
  }

  isEnded({ record }: HeldRequest): boolean {
    return this.#stage.ledger.get(record, ServerField.state) === State.ended;
  }

  /** Writes down the next step. */
  intend({ record }: HeldRequest, outcome: number): void {
    this.#stage.ledger.set(record, ServerField.outcome, outcome);
  }

  end(handed: HeldRequest, outcome: number): void {
    const { ledger } = this.#stage;
    const { record } = handed;
    this.#held.delete(handed);
    ledger.set(record, ServerField.outcome, outcome);
    ledger.set(record, ServerField.end, this.#stage.now());
    ledger.set(record, ServerField.state, State.ended);
  }

  /** Before the handle closes: its requests go to other servers. */
  closing(): void {
    if (this.#held.size > 0) this.#stage.ledger.head.add(Head.closes);
    for (const handed of this.#held) this.end(handed, DeliveryOutcome.closed);
  }

  /** Replies or fails in one of the ways. A request closed meanwhile already has its end. */
  answer(handed: HeldRequest): void {
    if (this.isEnded(handed)) return;
    this.check(handed);
    const { random } = this.#stage;
    try {
      if (random.chance(0.03)) return this.#fail(handed);
      this.intend(handed, DeliveryOutcome.replying);
      const isTrue = random.chance(0.4) ? this.#replyInPlace(handed) : this.#reply(handed);
      this.end(handed, isTrue ? DeliveryOutcome.replied : DeliveryOutcome.repliedInVain);
    } catch (error) {
      this.unexpected(handed, error);
    }
  }

  #fail(handed: HeldRequest): void {
    this.intend(handed, DeliveryOutcome.failing);
    const isTrue = handed.request.fail(this.errorOf(handed));
    this.end(handed, isTrue ? DeliveryOutcome.failed : DeliveryOutcome.failedInVain);
  }

  unexpected(handed: HeldRequest, error: unknown): void {
    if (this.isEnded(handed)) return;
    const { code } = error as TandemError;
    this.#stage.note(`record ${handed.record}: ${code ?? ""} ${(error as Error)?.stack ?? error}`);
    this.end(handed, DeliveryOutcome.unexpected);
  }

  #reply(handed: HeldRequest): boolean {
    const { server, request } = handed;
    const answer = this.answerOf(handed);
    return this.#stage.random.chance(0.2)
      ? server.reply(request.id, answer)
      : request.reply(answer);
  }

  #replyInPlace(handed: HeldRequest): boolean {
    const { request } = handed;
    // A posted request has no space for an answer.
    const bytes = request.allocate(this.#answerLength());
    this.#stage.content.fillAnswer(bytes, this.#headOf(handed));
    return request.reply(bytes);
  }

  /** The bytes of an answer. */
  answerOf(handed: HeldRequest): Uint8Array<ArrayBuffer> {
    const bytes = scratch.subarray(0, this.#answerLength());
    this.#stage.content.fillAnswer(bytes, this.#headOf(handed));
    return bytes;
  }

  /** An error that names its call. */
  errorOf(handed: HeldRequest): Error {
    return Object.assign(new Error("as told by the seed"), this.#headOf(handed));
  }

  #headOf({ head, generation, slot, request }: HeldRequest): AnswerHead {
    const server = this.#stage.part.id;
    const { client, number } = head ?? { client: 0, number: 0 };
    return { client, number, generation, slot, server, delivery: request.deliveries };
  }

  #answerLength(): number {
    const { random, isBrisk } = this.#stage;
    if (isBrisk && random.chance(0.95)) return random.between(answerHeadBytes, 200);
    return random.weighted([
      [() => 0, 3],
      [() => random.between(answerHeadBytes, 200), 75],
      [() => random.skewed(100, 10_000), 17],
      [() => random.skewed(4_000, payloadBytesMax), 5],
    ])();
  }
}

const scratch = new Uint8Array(payloadBytesMax);

/** Null: its handle is closed. */
function readable(request: ServerRequest): Uint8Array<ArrayBuffer> | null {
  try {
    const { bytes } = request;
    // Closing the handle has detached earlier views, and perhaps the request.
    return bytes.buffer.byteLength === 0 ? null : bytes;
  } catch (error) {
    if (error instanceof TandemError && error.code === "CLOSED") return null;
    throw error;
  }
}
