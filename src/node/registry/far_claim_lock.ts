/**
 * What makes a claim unique among nodes that have a network: a limit there for each key, with a lease. The lock of the
 * kernel comes first, because nodes of this machine may have no network.
 *
 * @module
 */
import { onAbort } from "../../base/abort.ts";
import type { NatsOptions } from "../../base/nats_options.ts";
import { Limit } from "../../limit/limit.ts";
import type { Lock } from "../../limit/lock.ts";
import { hashOf } from "../../limit/lock_names.ts";
import { ClaimLock, type ClaimPlace, type ClaimRight } from "./claim_lock.ts";

/** Where the limits of a group are, too. */
export interface FarClaimPlace extends ClaimPlace {
  readonly network: string;
  readonly nats: NatsOptions;
  /** How long a claim lasts without its node, in milliseconds. */
  readonly lease: number;
}

export class FarClaimLock implements ClaimRight {
  readonly #near: ClaimLock;
  readonly #limit: Limit;
  readonly #lock: Lock;
  #forgetSignal: (() => void) | null = null;

  private constructor(near: ClaimLock, limit: Limit, lock: Lock) {
    this.#near = near;
    this.#limit = limit;
    this.#lock = lock;
  }

  /**
   * Null: another one has it.
   *
   * @throws what `new Limit` and its `acquire` throw
   */
  static async take(place: FarClaimPlace, family: string, key: string): Promise<ClaimRight | null> {
    const near = ClaimLock.take(place, family, key);
    if (near === null) return null;
    let limit: Limit | null = null;
    try {
      limit = new Limit(targetOf(place, family, key), {
        max: 1,
        order: "oldest",
        nats: place.nats,
        lease: place.lease,
      });
      const lock = await limit.acquire({ timeout: 0 });
      if (lock !== null) return new FarClaimLock(near, limit, lock);
    } catch (error) {
      limit?.close();
      near.release();
      throw error;
    }
    limit.close();
    near.release();
    return null;
  }

  get token(): bigint {
    return this.#lock.token;
  }

  check(): boolean {
    return this.#near.check() && this.#lock.heartbeat();
  }

  watch(lost: (reason: unknown) => void): void {
    const { signal } = this.#lock;
    this.#forgetSignal = onAbort(signal, () => lost(signal.reason));
    this.#near.watch(lost);
  }

  release(): void {
    this.#forgetSignal?.();
    this.#limit.close();
    this.#near.release();
  }
}

/** The limit of a key. A name may have 128 bytes; the family is for people. */
function targetOf({ network, group }: FarClaimPlace, family: string, key: string): string {
  const hint = family.slice(0, 20).replaceAll(":", "-");
  return `${network.replace(/\/$/, "")}/${group}.claim.${hint}.${hashOf(`${family} ${key}`)}`;
}
