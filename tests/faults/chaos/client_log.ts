/**
 * A client's side of its ledger: its intents and their outcomes.
 *
 * @module
 */
import { RemoteError, TandemError } from "../../../mod.ts";
import { ClientField, ClientFlag, Head, Outcome, State } from "./ledger.ts";
import { partsOf, type Stage } from "./player.ts";

/** The plan of a call. */
export interface Intent {
  readonly form: number;
  readonly length: number;
  readonly maxDeliveries: number;
  /** Milliseconds; undefined: none. */
  readonly timeout: number | undefined;
  readonly flags: number;
}

/** A call that has begun. */
export interface Attempt extends Intent {
  readonly number: number;
  /** The handle that it goes through. */
  readonly session: Session;
}

/** A handle, from opening to closing. */
export interface Session {
  /** Its player closes it: pending calls end with `CLOSED`. */
  isClosing: boolean;
}

/** The reason of an abort. */
export const aborted: unique symbol = Symbol("aborted");

/** Writes a client's ledger. */
export class ClientLog {
  readonly #stage: Stage;
  readonly #open: Set<number> = new Set();

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** How many calls are open. */
  get openCount(): number {
    return this.#open.size;
  }

  begin(intent: Intent, session: Session): Attempt {
    const { ledger } = this.#stage;
    const number = ledger.begin();
    const set = (field: number, value: number) => ledger.set(number, field, value);
    set(ClientField.form, intent.form);
    set(ClientField.length, intent.length);
    set(ClientField.maxDeliveries, intent.maxDeliveries);
    set(ClientField.flags, intent.flags);
    set(ClientField.start, this.#stage.now());
    set(ClientField.state, State.begun);
    this.#open.add(number);
    this.#noteOldest();
    return { ...intent, number, session };
  }

  /** The id of a call, as soon as it is known. */
  identify({ number }: Attempt, id: bigint): void {
    const { generation, slot } = partsOf(id);
    const { ledger } = this.#stage;
    ledger.set(number, ClientField.generation, generation);
    ledger.set(number, ClientField.slot, slot + 1);
  }

  end({ number }: Attempt, outcome: number): void {
    const { ledger } = this.#stage;
    if (ledger.get(number, ClientField.state) === State.ended) {
      this.#stage.note(`call ${number} ended twice`);
    }
    ledger.set(number, ClientField.outcome, outcome);
    ledger.set(number, ClientField.end, this.#stage.now());
    ledger.set(number, ClientField.state, State.ended);
    ledger.head.add(Head.ended);
    this.#open.delete(number);
    this.#noteOldest();
  }

  /** Judges an answer and ends the call with it. */
  answer(attempt: Attempt, bytes: Uint8Array): void {
    if (bytes.length === 0) return this.end(attempt, Outcome.answeredEmpty);
    const head = this.#stage.content.answerHead(bytes);
    const what = head ? this.#judge(attempt, head) : "its bytes are those of no answer";
    if (what === null) return this.end(attempt, Outcome.answered);
    this.#wrong(attempt, `${what}: ${JSON.stringify(head)}, ${bytes.length} bytes`);
  }

  /** Ends the call with its error. */
  fail(attempt: Attempt, error: unknown): void {
    if (error instanceof RemoteError) {
      const what = this.#judge(attempt, error.remoteProperties as unknown as Identity);
      if (what === null) return this.end(attempt, Outcome.remote);
      return this.#wrong(attempt, `${what}: ${error.message}`);
    }
    const outcome = this.#outcomeOf(attempt, error);
    if (outcome === Outcome.unexpected) {
      const { number, form } = attempt;
      this.#stage.note(`call ${number} (form ${form}): ${(error as Error)?.stack ?? error}`);
    }
    this.end(attempt, outcome);
  }

  #outcomeOf(attempt: Attempt, error: unknown): number {
    const may = (flag: number) => (attempt.flags & flag) !== 0;
    if (error === aborted && may(ClientFlag.aborts)) return Outcome.aborted;
    if (!(error instanceof TandemError)) return Outcome.unexpected;
    switch (error.code) {
      case "TIMEOUT":
        return may(ClientFlag.hasTimeout) ? Outcome.timeout : Outcome.unexpected;
      case "BUSY":
        return Outcome.busy;
      case "SERVER_DIED":
        return Outcome.serverDied;
      case "CANCELLED":
        return Outcome.cancelled;
      case "CLOSED":
        return attempt.session.isClosing ? Outcome.closed : Outcome.unexpected;
      case "TOO_LARGE":
        return may(ClientFlag.smallInto) ? Outcome.tooLong : Outcome.unexpected;
      default:
        return Outcome.unexpected;
    }
  }

  /** Writes down the call that an answer belongs to. Null: it is this call's. */
  #judge(attempt: Attempt, head: Identity): string | null {
    const { ledger, part } = this.#stage;
    const { number } = attempt;
    ledger.set(number, ClientField.server, head.server);
    ledger.set(number, ClientField.delivery, head.delivery);
    const slot = ledger.get(number, ClientField.slot);
    if (slot === 0) {
      ledger.set(number, ClientField.generation, head.generation);
      ledger.set(number, ClientField.slot, head.slot + 1);
    } else if (
      slot !== head.slot + 1 || ledger.get(number, ClientField.generation) !== head.generation
    ) {
      return "an answer to another call's id";
    }
    // The server cannot name the call of a request that is too short to say so.
    if (head.client === 0) return null;
    if (head.client !== part.id || head.number !== number) return "an answer to another call";
    return null;
  }

  #wrong(attempt: Attempt, what: string): void {
    this.#stage.note(`call ${attempt.number} (form ${attempt.form}) got a wrong answer: ${what}`);
    this.end(attempt, Outcome.wrong);
  }

  #noteOldest(): void {
    const { head } = this.#stage.ledger;
    // Sets keep the order of insertion.
    for (const number of this.#open) {
      head.set(Head.oldest, number);
      head.set(Head.oldestStart, this.#stage.ledger.get(number, ClientField.start));
      return;
    }
    head.set(Head.oldestStart, 0);
  }
}

/** The content of an answer, and of an error's properties. */
interface Identity {
  readonly client: number;
  readonly number: number;
  readonly generation: number;
  readonly slot: number;
  readonly server: number;
  readonly delivery: number;
}
