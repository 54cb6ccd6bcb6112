/**
 * A lease of a contender, or of a node that has claims: as long as it is renewed, its owner counts as alive.
 *
 * Its own clock ends it a little before the server's can: the time counts from before the renewal was sent. Both
 * clocks of the process count, since one stands still while the machine sleeps, and the other one may be set.
 *
 * @module
 */
import { codeOf, report } from "../../base/guard.ts";
import { later, now, wallClock } from "../../runtime/timers.ts";
import type { JetStream } from "../jetstream.ts";

/** Where leases are. */
export interface LeaseStore {
  /**
   * Stores a lease, or stores it anew.
   *
   * @param last the number of the last time; 0: the first time
   * @param seconds until the server removes it
   * @returns its number; null: it is lost
   */
  keepLease(id: string, last: number, seconds: number): Promise<number | null>;
}

/**
 * As {@linkcode LeaseStore.keepLease}.
 *
 * @throws as {@linkcode JetStream.ask}
 */
export async function storeLease(
  jetStream: JetStream,
  { stream, subject }: { readonly stream: string; readonly subject: string },
  last: number,
  seconds: number,
): Promise<number | null> {
  const nothing = new Uint8Array(0);
  const number = await jetStream.store(subject, nothing, last, seconds);
  if (number !== null) return number;
  // It may have been stored by a request whose answer was lost. Nobody else stores it.
  const found = await jetStream.last(stream, subject);
  if (!found || found.isRemoval) return null;
  return await jetStream.store(subject, nothing, found.sequence, seconds);
}

/** The part of a lease that its owner trusts: clocks of two machines do not run alike. */
const trusted = 0.95;
/** A lease is renewed when such a part of it has passed, and again after such a part if that fails. */
const renewal = 1 / 3;
const renewalAgain = 1 / 20;

export class Lease {
  readonly id: string = crypto.randomUUID().replaceAll("-", "");
  readonly #store: LeaseStore;
  readonly #milliseconds: number;
  readonly #onEnd: () => void;
  #sequence = 0;
  #renewing: Promise<boolean> | null = null;
  #isOver = false;
  #endsAt = -Infinity;
  #endsAtWall = -Infinity;
  #cancelRenewal: (() => void) | null = null;
  #cancelEnd: (() => void) | null = null;

  /** @param onEnd runs when it is lost */
  constructor(store: LeaseStore, milliseconds: number, onEnd: () => void) {
    this.#store = store;
    this.#milliseconds = milliseconds;
    this.#onEnd = onEnd;
  }

  /** Whether others surely take its owner for alive. */
  get isAlive(): boolean {
    return !this.#isOver && now() < this.#endsAt && wallClock() < this.#endsAtWall;
  }

  /** How long the server keeps it at the most, from now on, in milliseconds. */
  get remaining(): number {
    return Math.max(0, this.#endsAt - now()) + this.#milliseconds * (1 - trusted);
  }

  /** @returns false: it is lost */
  renew(): Promise<boolean> {
    // Two at once would not follow each other.
    return this.#renewing ??= this.#renew().finally(() => this.#renewing = null);
  }

  async #renew(): Promise<boolean> {
    const [time, wall] = [now(), wallClock()];
    // The server counts whole seconds.
    const seconds = Math.ceil(this.#milliseconds / 1000);
    const sequence = await this.#store.keepLease(this.id, this.#sequence, seconds);
    if (this.#isOver) return false;
    if (sequence === null) {
      this.#lose();
      return false;
    }
    this.#sequence = sequence;
    this.#endsAt = time + this.#milliseconds * trusted;
    this.#endsAtWall = wall + this.#milliseconds * trusted;
    this.#renewAfter(this.#milliseconds * renewal);
    this.#endLater();
    return true;
  }

  #renewAfter(milliseconds: number): void {
    this.#cancelRenewal?.();
    this.#cancelRenewal = later(milliseconds, () => {
      this.renew().catch((error) => {
        if (this.#isOver) return;
        if (codeOf(error) === undefined) report(Lease, "renewing a lease", error);
        this.#renewAfter(this.#milliseconds * renewalAgain);
      });
    });
  }

  #endLater(): void {
    this.#cancelEnd?.();
    this.#cancelEnd = later(Math.max(0, this.#endsAt - now()), () => {
      if (this.isAlive) this.#endLater();
      else this.#lose();
    });
  }

  #lose(): void {
    if (this.#isOver) return;
    this.end();
    this.#onEnd();
  }

  /** It is not renewed any more. */
  end(): void {
    this.#isOver = true;
    this.#cancelRenewal?.();
    this.#cancelEnd?.();
  }
}
