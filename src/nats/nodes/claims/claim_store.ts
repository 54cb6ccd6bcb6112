/**
 * The keys of claims, and the leases of the nodes that have them, in the bucket that limits use, too.
 *
 * @module
 */
import { TandemError } from "../../../errors.ts";
import { claimName } from "../../../node/registry/claim_name.ts";
import { ErrorNumber, isRefusal, JetStream, RefusedRequest } from "../../jetstream.ts";
import { bucketOf, ensureBucket, streamOf } from "../../limit/bucket.ts";
import { type LeaseStore, storeLease } from "../../limit/lease.ts";
import type { Link } from "../../link.ts";
import { refusedStream } from "../../streams.ts";
import { prefixOf, tokenOf } from "../../target.ts";
import type { Network } from "../network.ts";
import { type ClaimRecord, decodeClaim, encodeClaim } from "./record.ts";

/** How long removed keys stay known, in seconds. */
const removalSeconds = 60;

/** What is stored at a key. */
export interface FoundClaim {
  /** Null: nothing is. */
  readonly record: ClaimRecord | null;
  /** Of the last message; 0: there is none. */
  readonly sequence: number;
}

export class ClaimStore implements LeaseStore {
  readonly #link: Link;
  readonly #jetStream: JetStream;
  readonly #bucket: string;
  readonly #group: string;
  #isKnown = false;
  /** When it was made, in microseconds. */
  #created = 0n;

  constructor(link: Link, network: Network, group: string) {
    this.#link = link;
    this.#jetStream = new JetStream(link);
    this.#bucket = bucketOf(prefixOf(network.link.options));
    this.#group = group;
  }

  /** Whether the bucket is known to be there. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** The bucket may be gone. */
  doubt(): void {
    this.#isKnown = false;
  }

  /** The subject of a claim. */
  subjectOf(family: string, key: string): string {
    return this.#subject(claimName(family, key, 20), "owner");
  }

  #leasePlace(id: string): string {
    return this.#subject("claims", `lease.${id}`);
  }

  #subject(name: string, key: string): string {
    return `$KV.${this.#bucket}.${tokenOf(`${this.#group}.${name}`)}.${key}`;
  }

  /** Makes the bucket, unless there is one. */
  async ensure(): Promise<void> {
    this.#link.check();
    if (this.#isKnown) return;
    const created = await ensureBucket(this.#link, this.#jetStream, this.#bucket, "claims");
    this.#created = BigInt(Date.parse(created)) * 1_000n;
    this.#isKnown = true;
  }

  /**
   * The token of a claim with that number. A bucket that is made anew counts from 1 again, so the time at which it was
   * made comes first, in microseconds: nobody stores so many messages in that time.
   */
  tokenOf(sequence: number): bigint {
    return this.#created + BigInt(sequence);
  }

  /**
   * Stores a claim, if the last message there is the one with that number.
   *
   * @returns its number; null: another one was stored meanwhile
   */
  store(place: string, record: ClaimRecord, last: number): Promise<number | null> {
    return this.#translated(this.#jetStream.store(place, encodeClaim(record), last));
  }

  async find(place: string): Promise<FoundClaim> {
    const found = await this.#last(place);
    if (found === null) return { record: null, sequence: 0 };
    const { data, sequence, isRemoval } = found;
    return { record: isRemoval ? null : decodeClaim(data, place), sequence };
  }

  /** Whether the server still has a lease. */
  async hasLease(id: string): Promise<boolean> {
    const found = await this.#last(this.#leasePlace(id));
    return found !== null && !found.isRemoval;
  }

  #last(subject: string): ReturnType<JetStream["last"]> {
    return this.#translated(this.#jetStream.last(streamOf(this.#bucket), subject));
  }

  keepLease(id: string, last: number, seconds: number): Promise<number | null> {
    const place = { stream: streamOf(this.#bucket), subject: this.#leasePlace(id) };
    return this.#translated(storeLease(this.#jetStream, place, last, seconds));
  }

  /** Removes a claim, unless another one is there meanwhile. */
  remove(place: string, sequence: number): Promise<void> {
    return this.#translated(this.#jetStream.remove(place, removalSeconds, sequence));
  }

  removeLease(id: string): Promise<void> {
    return this.#translated(this.#jetStream.remove(this.#leasePlace(id), removalSeconds));
  }

  async #translated<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      if (isRefusal(error, ErrorNumber.unheard, ErrorNumber.streamNotFound)) {
        // The bucket was removed, or has no leader for a moment.
        this.doubt();
        throw new TandemError(
          "DISCONNECTED",
          `Cannot use claims in NATS (${this.#link.place}): the bucket ${
            JSON.stringify(this.#bucket)
          } was removed, or no ` + "server answers for it now; try again",
          { cause: error },
        );
      }
      const tried = `use the bucket ${JSON.stringify(this.#bucket)}`;
      throw refusedStream(this.#link, tried, "for claims", error);
    }
  }
}
