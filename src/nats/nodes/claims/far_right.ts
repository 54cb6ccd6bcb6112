/**
 * What makes one claim unique on all machines: its record, and the lease of its node.
 *
 * @module
 */
import type { ClaimRight } from "../../../node/registry/claim_lock.ts";
import type { Lease } from "../../limit/lease.ts";

export class FarRight implements ClaimRight {
  readonly id: string;
  readonly key: string;
  readonly token: bigint;
  /** The subject of its record. */
  readonly place: string;
  /** The number of its record. */
  readonly sequence: number;
  readonly #lease: Lease;
  readonly #giveBack: (right: FarRight) => void;
  #listener: ((reason: unknown) => void) | null = null;
  #lost: { readonly reason: unknown } | null = null;

  constructor(
    { id, key, token, place, sequence }: Pick<
      FarRight,
      "id" | "key" | "token" | "place" | "sequence"
    >,
    lease: Lease,
    giveBack: (right: FarRight) => void,
  ) {
    this.id = id;
    this.key = key;
    this.token = token;
    this.place = place;
    this.sequence = sequence;
    this.#lease = lease;
    this.#giveBack = giveBack;
  }

  check(): boolean {
    return this.#lost === null && this.#lease.isAlive;
  }

  watch(listener: (reason: unknown) => void): void {
    this.#listener = listener;
    if (this.#lost) listener(this.#lost.reason);
  }

  /** Ends it, because another node may have it from now on. */
  lose(reason: unknown): void {
    if (this.#lost) return;
    this.#lost = { reason };
    this.#listener?.(reason);
  }

  release(): void {
    this.#listener = null;
    this.#giveBack(this);
  }
}
