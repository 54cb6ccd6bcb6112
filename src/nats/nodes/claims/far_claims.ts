/**
 * The claims of a node among the nodes of all machines. Each is a key, which is stored once; all of them name one lease,
 * which the node renews. So a node has as many claims as it likes for one small message now and then, and all of them end
 * with it.
 *
 * @module
 */
import { codeOf, report } from "../../../base/guard.ts";
import { randomToken } from "../../../node/ids.ts";
import { keepAlive, later } from "../../../runtime/timers.ts";
import { afterwards } from "../../limit/farewells.ts";
import { Lease } from "../../limit/lease.ts";
import { acquireLink, type Link } from "../../link.ts";
import { pauseUpTo } from "../../pauses.ts";
import type { Network } from "../network.ts";
import { ClaimStore } from "./claim_store.ts";
import { changedTooOften, closedClaims, lostClaim, overAtOnce } from "./errors.ts";
import { FarRight } from "./far_right.ts";
import { Returns } from "./returns.ts";

/** Whose claims they are. */
export interface FarClaimTerms {
  readonly network: Network;
  readonly group: string;
  /** The id of the node. */
  readonly node: string;
  /** How long claims last without the node, in milliseconds. */
  readonly lease: number;
}

/** How often somebody else may be faster. */
const conflictsMax = 100;
/** After so many, it pauses for a random time, up to so many milliseconds for each. */
const conflictsAtOnce = 3;
const conflictPause = 5;
/** How often a claim may fail with the link up. */
const failuresMax = 3;
/** How often the node looks after its claims in the time of a lease. */
const roundsPerLease = 3;
/** How many records it reads in a round. */
const readAtOnce = 64;

export class FarClaims {
  readonly #terms: FarClaimTerms;
  readonly #link: Link;
  readonly #store: ClaimStore;
  readonly #returns: Returns;
  /** Those that were read longest ago come first. */
  readonly #rights: Set<FarRight> = new Set();
  /** How many claims are under way. */
  #takes = 0;
  #lease: Lease | null = null;
  #preparing: Promise<Lease> | null = null;
  #cancelRound: (() => void) | null = null;
  #isClosed = false;

  constructor(terms: FarClaimTerms) {
    const { network, group } = terms;
    this.#terms = terms;
    this.#link = acquireLink(network.link);
    this.#store = new ClaimStore(this.#link, network, group);
    this.#returns = new Returns(this.#store);
  }

  /**
   * Null: another node has it.
   *
   * @throws {TandemError} `DISCONNECTED`, `UNSUPPORTED`, `PERMISSION`, `NO_SPACE`, `BUSY`, `CORRUPT`, `INCOMPATIBLE`,
   * `MISMATCH`, `CLOSED`
   */
  async take(family: string, key: string): Promise<FarRight | null> {
    const letEnd = keepAlive();
    this.#takes += 1;
    const place = this.#store.subjectOf(family, key);
    const ids: string[] = [];
    try {
      return await this.#take(place, key, ids);
    } catch (error) {
      // They may have been stored, or may still be.
      for (const id of ids) this.#returns.add(id, place, true);
      void afterwards(() => this.#returns.settle());
      this.#beginRounds();
      throw error;
    } finally {
      this.#takes -= 1;
      letEnd();
    }
  }

  /** @param ids gets the identifiers of records that may be stored */
  async #take(place: string, key: string, ids: string[]): Promise<FarRight | null> {
    let last = 0;
    let failures = 0;
    for (let conflicts = 0; conflicts < conflictsMax; conflicts++) {
      if (conflicts > conflictsAtOnce) await pauseUpTo(conflicts * conflictPause);
      try {
        const lease = await this.#leased();
        const id = randomToken(16);
        ids.push(id);
        const record = { id, lease: lease.id, node: this.#terms.node };
        const [sequence, hasLease] = await Promise.all([
          this.#store.store(place, record, last),
          this.#store.hasLease(lease.id),
        ]);
        if (sequence !== null && hasLease) return this.#taken(id, key, place, sequence, lease);
        if (!hasLease) {
          // The bucket was removed and made again: its numbers are too small for tokens.
          if (this.#lease === lease) this.#loseAll();
          throw overAtOnce(this.#terms.node);
        }
        // It was refused.
        ids.pop();
        const found = await this.#store.find(place);
        const owner = found.record?.lease;
        // A record with this node's lease is left over from an earlier attempt: only one attempt at a time has the
        // kernel's lock.
        const isOthers = owner !== undefined && owner !== lease.id;
        if (isOthers && await this.#store.hasLease(owner)) return null;
        last = found.sequence;
      } catch (error) {
        if (this.#isClosed) throw closedClaims(this.#terms.node);
        // A message was lost, the bucket was removed, or the lease was over.
        if (codeOf(error) !== "DISCONNECTED" || !this.#link.isUp) throw error;
        failures += 1;
        if (failures >= failuresMax) throw error;
      }
    }
    throw changedTooOften(key);
  }

  #taken(id: string, key: string, place: string, sequence: number, lease: Lease): FarRight {
    if (!lease.isAlive) throw overAtOnce(this.#terms.node);
    const token = this.#store.tokenOf(sequence);
    const terms = { id, key, place, sequence, token };
    const right = new FarRight(terms, lease, (right) => this.#giveBack(right));
    this.#rights.add(right);
    return right;
  }

  #giveBack(right: FarRight): void {
    if (!this.#rights.delete(right)) return;
    this.#returns.add(right.id, right.place, false);
    void afterwards(async () => {
      // The removal leaves before others hear that the entry is gone: whoever claims the key then, gets it. The number
      // tells which record is meant, as long as the bucket is the one in which the lease is.
      if (right.check()) await this.#store.remove(right.place, right.sequence).catch(() => {});
      await this.#returns.settle();
    });
  }

  // The lease

  /** The lease, which others take for alive. */
  async #leased(): Promise<Lease> {
    if (this.#store.isKnown && this.#lease?.isAlive) return this.#lease;
    this.#preparing ??= this.#prepare().finally(() => this.#preparing = null);
    return await this.#preparing;
  }

  async #prepare(): Promise<Lease> {
    const { isKnown } = this.#store;
    await this.#store.ensure();
    // If the bucket was removed, the lease is gone, too.
    if (!isKnown) await this.#lease?.renew();
    return this.#lease?.isAlive ? this.#lease : await this.#newLease();
  }

  async #newLease(): Promise<Lease> {
    if (this.#lease !== null) {
      this.#loseAll();
      await this.#store.ensure();
    }
    const lease: Lease = new Lease(this.#store, this.#terms.lease, () => {
      if (this.#lease === lease) this.#loseAll();
    });
    try {
      if (await lease.renew() && !this.#isClosed) {
        this.#lease = lease;
        this.#beginRounds();
        return lease;
      }
    } catch (error) {
      lease.end();
      throw error;
    }
    lease.end();
    if (!this.#isClosed) throw overAtOnce(this.#terms.node);
    throw closedClaims(this.#terms.node);
  }

  #loseAll(): void {
    this.#endLease();
    for (const right of [...this.#rights]) {
      right.lose(lostClaim(right.key, "the lease of its node could not be renewed in time"));
    }
  }

  #endLease(): Lease | null {
    const lease = this.#lease;
    this.#lease = null;
    lease?.end();
    // Only the lease tells this node that the bucket was removed. Without one, it looks before the next claim.
    this.#store.doubt();
    return lease;
  }

  // Rounds

  #beginRounds(): void {
    if (this.#isClosed) return;
    this.#cancelRound ??= later(this.#terms.lease / roundsPerLease, () => {
      this.#round().catch((error) => report(this, "looking after claims", error)).finally(() => {
        this.#cancelRound = null;
        if (this.#lease !== null || this.#isInUse) this.#beginRounds();
      });
    });
  }

  get #isInUse(): boolean {
    return this.#rights.size + this.#returns.size + this.#takes > 0;
  }

  async #round(): Promise<void> {
    if (!this.#isInUse) return await this.#dropLease();
    await this.#returns.settle();
    for (const right of [...this.#rights].slice(0, readAtOnce)) {
      // To the end.
      if (this.#rights.delete(right)) this.#rights.add(right);
      await this.#read(right);
    }
  }

  async #read(right: FarRight): Promise<void> {
    try {
      const { record } = await this.#store.find(right.place);
      if (record?.id === right.id) return;
    } catch (error) {
      // The lease says whether there is time to try again.
      if (codeOf(error) !== "CORRUPT" && codeOf(error) !== "INCOMPATIBLE") return;
    }
    right.lose(lostClaim(right.key, "its record was removed from NATS, or replaced"));
  }

  /** Never rejects: without it, the server removes the lease a little later. */
  async #dropLease(): Promise<void> {
    const lease = this.#endLease();
    if (lease === null) return;
    await this.#store.removeLease(lease.id).catch(() => {});
  }

  /** Says what is left to say, afterwards. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelRound?.();
    void afterwards(async () => {
      // What nobody hears of ends with the lease.
      await this.#returns.settle();
      await this.#dropLease();
      this.#link.release();
    });
  }
}
