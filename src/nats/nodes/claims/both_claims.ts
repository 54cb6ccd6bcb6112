/**
 * What makes claims unique among nodes that have a network: the lock of the kernel comes first, because nodes of this
 * machine may have no network; then the right among all machines.
 *
 * @module
 */
import type { ClaimRight, ClaimRights } from "../../../node/registry/claim_lock.ts";
import { closedClaims } from "./errors.ts";
import { FarClaims, type FarClaimTerms } from "./far_claims.ts";

export class BothClaims implements ClaimRights {
  readonly #near: ClaimRights;
  readonly #terms: FarClaimTerms;
  /** Most nodes claim nothing. */
  #far: FarClaims | null = null;
  #isClosed = false;

  constructor(near: ClaimRights, terms: FarClaimTerms) {
    this.#near = near;
    this.#terms = terms;
  }

  async take(family: string, key: string): Promise<ClaimRight | null> {
    const near = await this.#near.take(family, key);
    if (near === null) return null;
    try {
      if (this.#isClosed) throw closedClaims(this.#terms.node);
      this.#far ??= new FarClaims(this.#terms);
      const far = await this.#far.take(family, key);
      if (far !== null) return new BothRights(near, far);
    } catch (error) {
      near.release();
      throw error;
    }
    near.release();
    return null;
  }

  close(): void {
    this.#isClosed = true;
    this.#far?.close();
  }
}

class BothRights implements ClaimRight {
  readonly token: bigint;
  readonly #near: ClaimRight;
  readonly #far: ClaimRight;

  constructor(near: ClaimRight, far: ClaimRight) {
    this.token = far.token;
    this.#near = near;
    this.#far = far;
  }

  check(): boolean {
    return this.#near.check() && this.#far.check();
  }

  watch(lost: (reason: unknown) => void): void {
    this.#near.watch(lost);
  }

  hear(lost: (reason: unknown) => void): void {
    this.#far.watch(lost);
  }

  release(): void {
    this.#far.release();
    this.#near.release();
  }
}
