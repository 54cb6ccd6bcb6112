/**
 * The rules for one call: the records of its client and of the servers have to fit together.
 *
 * @module
 */
import type { CallRecord, DeliveryRecord } from "./books.ts";
import { isUnreadable } from "./books.ts";
import { type Content, hashOf } from "./content.ts";
import { ClientFlag, DeliveryOutcome, nameOf, Outcome, ServerFlag } from "./ledger.ts";

/** When a server cleared the channel, and how many calls that ended. */
export type Clear = readonly [begin: number, end: number, ended: number];

/**
 * How long a posted request may be in flight after its last record, in milliseconds: it
 * waits its turn like any other, and no player is stopped for so long.
 */
const postedMax = 10_000;

/** The verdict on one call. */
export interface Judgement {
  /** Null: no fault. */
  readonly failure: string | null;
  /** Deliveries that must have happened without a record. */
  readonly unseen: readonly number[];
  /** It was not answered, and only a `clear` explains it. */
  readonly isCleared: boolean;
}

/** `replied` and its like: the server knows that its client gets it. */
const certain: readonly number[] = [DeliveryOutcome.replied, DeliveryOutcome.failed];
const inVain: readonly number[] = [DeliveryOutcome.repliedInVain, DeliveryOutcome.failedInVain];
const underWay: readonly number[] = [
  DeliveryOutcome.none,
  DeliveryOutcome.replying,
  DeliveryOutcome.failing,
];
/** Outcomes that a killed server may or may not have reached. */
const unfinished: readonly number[] = [
  ...underWay,
  DeliveryOutcome.returned,
  DeliveryOutcome.thrown,
];
const repliesOf: readonly number[] = [
  DeliveryOutcome.replied,
  DeliveryOutcome.replying,
  DeliveryOutcome.returned,
];
const failuresOf: readonly number[] = [
  DeliveryOutcome.failed,
  DeliveryOutcome.failing,
  DeliveryOutcome.thrown,
];

/** Whether the server may have released it without an answer: killed, or its handle closed. */
function mayBeLetGo({ server, outcome }: DeliveryRecord): boolean {
  if (outcome === DeliveryOutcome.closed) return true;
  return server.fate === "killed" && unfinished.includes(outcome);
}

function mayHaveAnswered({ outcome }: DeliveryRecord): boolean {
  return repliesOf.includes(outcome) || failuresOf.includes(outcome);
}

/** Whether a posted request has come to its end with this server. */
function isOver(last: DeliveryRecord | undefined): boolean {
  if (!last || inVain.includes(last.outcome)) return false;
  return mayHaveAnswered(last) || !mayBeLetGo(last);
}

/** Judges one call that its client has begun. A missing outcome is not judged here. */
export class Judge {
  readonly #content: Content;
  readonly #clears: readonly Clear[];

  constructor(content: Content, clears: readonly Clear[]) {
    this.#content = content;
    this.#clears = clears;
  }

  judge(call: CallRecord, deliveries: readonly DeliveryRecord[]): Judgement {
    const failure = this.#judgeDeliveries(call, deliveries) ?? this.#judgeOutcome(call, deliveries);
    const isCleared = this.#isCleared(call, deliveries);
    return { failure, unseen: isCleared ? [] : this.#unseen(call, deliveries), isCleared };
  }

  /** The deliveries to each server. */
  #judgeDeliveries(call: CallRecord, deliveries: readonly DeliveryRecord[]): string | null {
    for (const [index, handed] of deliveries.entries()) {
      const { delivery, outcome, server } = handed;
      if (delivery < 1 || delivery > call.maxDeliveries) {
        return `delivery ${delivery} of ${call.maxDeliveries}`;
      }
      if (deliveries[index + 1]?.delivery === delivery) return `delivery ${delivery} came twice`;
      if (call.id !== null && handed.id !== call.id) return "a server saw it by another id";
      if (handed.id !== deliveries[0]!.id) return "servers saw it by different ids";
      const wrong = this.#judgeBytes(call, handed);
      if (wrong) return wrong;
      if (index < deliveries.length - 1 && !mayBeLetGo(handed)) {
        return `delivery ${delivery} was followed by another one, though its server was there`;
      }
      if (outcome === DeliveryOutcome.unexpected) return "its server failed";
      if (underWay.includes(outcome) && server.fate !== "killed") {
        return `delivery ${delivery} was forgotten by its server`;
      }
    }
    return null;
  }

  #judgeBytes(call: CallRecord, handed: DeliveryRecord): string | null {
    if (handed.flags & ServerFlag.wrongBytes) return "a server saw wrong bytes";
    if (isUnreadable(handed)) return null;
    if (handed.length !== call.length) return `a server saw ${handed.length} bytes`;
    const isOneWay = (handed.flags & ServerFlag.oneWay) !== 0;
    if (isOneWay !== ((call.flags & ClientFlag.posts) !== 0)) return "its way was mistaken";
    if (handed.call) return null;
    const bytes = new Uint8Array(handed.length);
    this.#content.fillRequest(bytes, call);
    return hashOf(bytes) === handed.hash ? null : "a server saw wrong bytes";
  }

  /** The outcome that the client recorded. */
  #judgeOutcome(call: CallRecord, deliveries: readonly DeliveryRecord[]): string | null {
    const last = deliveries.at(-1);
    const name = nameOf(Outcome, call.outcome);
    switch (call.outcome) {
      case Outcome.none:
        return null;
      case Outcome.answered:
      case Outcome.remote: {
        const answers = call.outcome === Outcome.answered ? repliesOf : failuresOf;
        if (!last || last.server.part.id !== call.server || last.delivery !== call.delivery) {
          return "the answer is of a server that was not the last to have it";
        }
        return answers.includes(last.outcome)
          ? null
          : "the answer is one that its server did not give";
      }
      case Outcome.answeredEmpty:
        return last && repliesOf.includes(last.outcome) ? null : "no server gave that answer";
      case Outcome.tooLong:
        return last && repliesOf.includes(last.outcome) ? null : "no server gave that answer";
      case Outcome.timeout:
      case Outcome.cancelled:
        if (last && certain.includes(last.outcome)) return `${name}, and answered as well`;
        if (call.outcome === Outcome.timeout || call.flags & ClientFlag.cancels) return null;
        return this.#isCleared(call, deliveries) ? null : "cancelled without a cause";
      case Outcome.aborted:
      case Outcome.closed:
      case Outcome.released:
        return null;
      case Outcome.busy:
      case Outcome.discarded:
        return last ? `${name}, and handed out` : null;
      case Outcome.serverDied:
        return !last || mayBeLetGo(last) ? null : "its server has not died";
      case Outcome.posted:
        if (!last || !inVain.includes(last.outcome) || this.#isCleared(call, deliveries)) {
          return null;
        }
        return "posted, and its server answered in vain";
      default:
        return name;
    }
  }

  /** Deliveries that killed servers must have had before they could write them down. */
  #unseen(call: CallRecord, deliveries: readonly DeliveryRecord[]): number[] {
    const seen = new Set(deliveries.map(({ delivery }) => delivery));
    const all = Array.from(
      { length: this.#deliveryCount(call, deliveries) },
      (_, index) => index + 1,
    );
    return all.filter((delivery) => !seen.has(delivery));
  }

  /** The number of deliveries that must have happened. */
  #deliveryCount(call: CallRecord, deliveries: readonly DeliveryRecord[]): number {
    const last = deliveries.at(-1);
    if (call.outcome === Outcome.serverDied) return call.maxDeliveries;
    // A returned request goes to other servers until no delivery is left.
    if (call.outcome === Outcome.posted && !isOver(last)) return call.maxDeliveries;
    return last?.delivery ?? 0;
  }

  #isCleared(call: CallRecord, deliveries: readonly DeliveryRecord[]): boolean {
    const { outcome, flags, start, end } = call;
    const last = deliveries.at(-1);
    if (outcome === Outcome.cancelled && !(flags & ClientFlag.cancels)) {
      return this.#wasCleared(start, end);
    }
    if (outcome !== Outcome.posted || isOver(last)) return false;
    const isUsedUp = deliveries.length === call.maxDeliveries && mayBeLetGo(last!);
    if (isUsedUp) return false;
    const heard = Math.max(start, last?.end ?? 0, last?.start ?? 0);
    return this.#wasCleared(start, heard + postedMax);
  }

  #wasCleared(from: number, to: number): boolean {
    return this.#clears.some(([begin, end]) => begin <= to && end >= from);
  }
}
