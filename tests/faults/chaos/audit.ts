/**
 * Judges a run by its ledgers: no call is lost, none has a wrong end, none was delivered more
 * often than it allows.
 *
 * @module
 */
import {
  type Book,
  Books,
  type CallName,
  type CallRecord,
  isUnreadable,
  readCall,
} from "./books.ts";
import { type Content, requestHeadBytes } from "./content.ts";
import { type Clear, Judge } from "./judge.ts";
import { clearWords, Head, Outcome, State } from "./ledger.ts";
import { describeCall } from "./story.ts";
import type { Player } from "./troupe.ts";

/** The result of a run. */
export interface Verdict {
  /** Each with the story of its call. */
  readonly failures: readonly string[];
  /** Calls by the name of their outcome; `none`: excused, their client was killed. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly calls: number;
  readonly deliveries: number;
  readonly redelivered: number;
  readonly closes: number;
  readonly clears: number;
  /** Calls that they ended, and the number of these without another explanation. */
  readonly clearedMax: number;
  readonly cleared: number;
  /** Deliveries without a record: their server was killed before it could write. */
  readonly unseen: number;
  /** The number that killed servers may have taken without a record. */
  readonly unseenMax: number;
  /** The longest call, in milliseconds. */
  readonly longest: number;
}

const failuresMax = 20;

/**
 * Reads the ledgers of all players, all of them gone, and judges.
 *
 * @param redelivered how often a server took something again, as the channel has counted
 */
export function audit(
  players: readonly Player[],
  content: Content,
  redelivered: number,
): Verdict {
  return new Auditor(players, content).run(redelivered);
}

class Auditor {
  readonly #books: Books;
  readonly #all: readonly Book[];
  readonly #judge: Judge;
  readonly #clears: readonly Clear[];
  readonly #failures: string[] = [];
  readonly #outcomes: Map<string, number> = new Map();
  /** Short calls of killed clients that may not have written down their ids. */
  #excusedShort = 0;
  #unseen = 0;
  /** The second and later ones of these. */
  readonly #unseenAgain: (CallName & { readonly again: number })[] = [];
  #redelivered = 0;
  /** Calls that only a `clear` explains. */
  #cleared = 0;
  #longest = 0;

  constructor(players: readonly Player[], content: Content) {
    this.#books = new Books(players);
    this.#all = [...this.#books.clients.values(), ...this.#books.servers];
    this.#clears = this.#books.servers.flatMap(clearsOf);
    this.#judge = new Judge(content, this.#clears);
  }

  run(redelivered: number): Verdict {
    for (const { player } of this.#all) this.#judgePlayer(player);
    for (const book of this.#books.clients.values()) this.#judgeClient(book);
    this.#judgeStrangers();
    this.#judgeIds();
    const unreadable = this.#books.strangers.filter(isUnreadable).length;
    const unseenMax = this.#books.servers.reduce((sum, book) => sum + takingOf(book), unreadable);
    if (this.#unseen > unseenMax) {
      this.#fail(
        `${this.#unseen} deliveries are in no ledger; killed servers explain ${unseenMax}`,
      );
    }
    const clearedMax = this.#clears.reduce((sum, [, , ended]) => sum + ended, 0);
    if (this.#cleared > clearedMax) {
      this.#fail(`${this.#cleared} calls were cleared; all clears together ended ${clearedMax}`);
    }
    // A request explained by deliveries that the channel has not counted is lost.
    const counted = redelivered - this.#redelivered;
    const again = this.#unseenAgain.reduce((sum, call) => sum + call.again, 0);
    if (again > counted) {
      this.#fail(`${again} redeliveries are in no ledger; the channel counted ${counted}`);
      for (const call of this.#unseenAgain) this.#fail("one of these may be lost", call);
    }
    return {
      failures: this.#failures,
      outcomes: this.#outcomes,
      calls: [...this.#outcomes.values()].reduce((sum, count) => sum + count, 0),
      deliveries: this.#books.deliveryCount,
      redelivered: this.#redelivered,
      closes: this.#all.reduce((sum, { ledger }) => sum + ledger.head.get(Head.closes), 0),
      clears: this.#clears.length,
      clearedMax,
      cleared: this.#cleared,
      unseen: this.#unseen,
      unseenMax,
      longest: this.#longest,
    };
  }

  #fail(what: string, call?: CallName): void {
    if (this.#failures.length === failuresMax) this.#failures.push("and more");
    if (this.#failures.length > failuresMax) return;
    this.#failures.push(call ? `${what}\n${describeCall(this.#books, call)}` : what);
  }

  #judgePlayer(player: Player): void {
    const { note } = player.head;
    if (note !== "") this.#fail(`${player.title}: ${note}`);
    if (player.fate === "playing") this.#fail(`${player.title} came to no end`);
  }

  #judgeClient(book: Book): void {
    const { player, count } = book;
    let excused = 0;
    for (let number = 0; number < count; number++) {
      const call = readCall(book, number);
      // Killed between beginning and filling in the record: the call was not sent.
      if (call.state === State.none && number < count - 1) this.#fail("a gap in the ledger", call);
      if (call.state === State.none) continue;
      const name = outcomeNames[call.outcome]!;
      this.#outcomes.set(name, (this.#outcomes.get(name) ?? 0) + 1);
      if (call.state === State.begun) {
        excused += 1;
        this.#judgeOpen(player, call, number === count - 1);
      }
      this.#judgeCall(call);
      this.#longest = Math.max(this.#longest, call.end - call.start);
    }
    if (excused > player.part.outstandingMax) {
      this.#fail(
        `${player.title} left ${excused} calls open, and may have ${player.part.outstandingMax}`,
      );
    }
  }

  /** The death of a client excuses the calls that were open then, and no others. */
  #judgeOpen(player: Player, call: CallRecord, isLast: boolean): void {
    if (player.fate !== "killed") this.#fail("a call without an end: lost", call);
    else if (player.part.mode === "sync" && !isLast) this.#fail("lost before the last call", call);
    if (call.length < requestHeadBytes && call.id === null) this.#excusedShort += 1;
  }

  #judgeCall(call: CallRecord): void {
    const deliveries = this.#books.deliveriesOf(call);
    for (const { delivery } of deliveries) if (delivery > 1) this.#redelivered += 1;
    const { failure, unseen, isCleared } = this.#judge.judge(call, deliveries);
    if (isCleared) this.#cleared += 1;
    if (failure !== null) this.#fail(failure, call);
    this.#unseen += unseen.length;
    const again = unseen.filter((delivery) => delivery > 1).length;
    if (again > 0) this.#unseenAgain.push({ ...call, again });
  }

  /** A request without a call comes from a client that died before it could write down the id. */
  #judgeStrangers(): void {
    const ids = new Set<number>();
    for (const stranger of this.#books.strangers) {
      if (isUnreadable(stranger)) continue;
      ids.add(stranger.id);
      if (stranger.call) {
        this.#fail(`${stranger.server.title} was handed a request that no client made`);
      }
    }
    if (ids.size > this.#excusedShort) {
      this.#fail(
        `${ids.size} short requests belong to no call; killed clients explain ${this.#excusedShort}`,
      );
    }
  }

  /** No two calls have the same id, as long as the channel lives. */
  #judgeIds(): void {
    const ids = new Float64Array(
      this.#books.clients.values().reduce((sum, { count }) => sum + count, 0),
    );
    let length = 0;
    for (const [client, { count }] of this.#books.clients) {
      for (let number = 0; number < count; number++) {
        const call = { client, number };
        const id = this.#books.call(call)!.id ?? this.#books.deliveriesOf(call)[0]?.id;
        if (id !== undefined) ids[length++] = id;
      }
    }
    const known = ids.subarray(0, length).sort();
    const index = known.findIndex((id, at) => at > 0 && id === known[at - 1]);
    if (index >= 0) this.#fail(`two calls had the id ${known[index]}`);
  }
}

const outcomeNames: readonly string[] = Object.keys(Outcome);

function clearsOf({ ledger }: Book): Clear[] {
  const { clears } = ledger.head;
  const found: Clear[] = [];
  for (let at = 0; at < clears.length; at += clearWords) {
    const [begin, end, ended] = clears.subarray(at, at + clearWords) as unknown as number[];
    // A `clear` that did not return may still have ended any number of calls.
    const isComplete = end !== 0;
    found.push(isComplete ? [begin!, end!, ended!] : [begin!, Infinity, Infinity]);
  }
  return found;
}

/** The requests that a server may have taken and not yet written down when it was killed. */
function takingOf({ player, ledger }: Book): number {
  return player.fate === "killed" ? ledger.head.get(Head.taking) : 0;
}
