/**
 * What makes a claim unique: a lock of the kernel for each key.
 *
 * A new file has a new count of tokens. So tokens come from one file of the group that nobody removes. They are
 * drawn while the key's lock is held, so a later holder of the key has a greater one. To draw is to hold a shared
 * lock for a moment: sharers wait for nobody, also not for one that was stopped.
 *
 * @module
 */
import { onAbort } from "../../base/abort.ts";
import { TandemError } from "../../errors.ts";
import { Limit } from "../../limit/limit.ts";
import { NameLock } from "../name_lock.ts";
import { claimName } from "./claim_name.ts";

/** Where the locks of a group are. */
export interface ClaimPlace {
  readonly group: string;
  /** Of the files. */
  readonly mode: number;
}

/** What makes one claim unique. */
export interface ClaimRight {
  /** Greater than those of all earlier claims of the key. */
  readonly token: bigint;
  /** Looks whether it is still held. */
  check(): boolean;
  /** From now on, `lost` runs once it is lost, whatever it takes to notice. */
  watch(lost: (reason: unknown) => void): void;
  /** From now on, `lost` runs once it hears by itself that it is lost, which takes nothing. */
  hear?(lost: (reason: unknown) => void): void;
  release(): void;
}

/** Gives the rights that make claims of one node unique. */
export interface ClaimRights {
  /**
   * Null: another one has it.
   *
   * @throws {TandemError}
   */
  take(family: string, key: string): ClaimRight | null | Promise<ClaimRight | null>;
  /** The node closes, and has given all rights back. */
  close(): void;
}

/** Rights on one machine: the kernel's locks. */
export class NearClaims implements ClaimRights {
  readonly #place: ClaimPlace;

  constructor(place: ClaimPlace) {
    this.#place = place;
  }

  take(family: string, key: string): ClaimLock | null {
    return ClaimLock.take(this.#place, family, key);
  }

  close(): void {}
}

export class ClaimLock implements ClaimRight {
  readonly #lock: NameLock;
  readonly token: bigint;
  #forgetSignal: (() => void) | null = null;

  private constructor(lock: NameLock, token: bigint) {
    this.#lock = lock;
    this.token = token;
  }

  /**
   * Null: another one has it.
   *
   * @throws what `new Limit` throws
   */
  static take(place: ClaimPlace, family: string, key: string): ClaimLock | null {
    const lock = NameLock.take(targetOf(place, family, key), place.mode);
    if (lock === null) return null;
    try {
      return new ClaimLock(lock, drawToken(place));
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Looks whether the lock is still held. */
  check(): boolean {
    return this.#lock.check();
  }

  /** From now on, `lost` runs once the lock is lost: at the latest a second later. */
  watch(lost: (reason: unknown) => void): void {
    const { signal } = this.#lock;
    this.#forgetSignal = onAbort(signal, () => lost(signal.reason));
  }

  release(): void {
    this.#forgetSignal?.();
    this.#lock.release();
  }
}

/** More than one attempt fails only if somebody removes the file all the time. */
const drawsMax = 100;

function drawToken({ group, mode }: ClaimPlace): bigint {
  using limit = new Limit(`lock__${group}.claims`, { max: 1, order: "oldest", mode });
  for (let draw = 0; draw < drawsMax; draw++) {
    using lock = limit.tryAcquire({ mode: "shared" });
    if (lock) return lock.token;
  }
  throw new TandemError(
    "BUSY",
    `Cannot draw the token of a claim: somebody holds the lock ${
      JSON.stringify(limit.target)
    }, which nobody should`,
  );
}

/** The limit of a key. The prefix allows a longer name; the family is for people. */
function targetOf({ group }: ClaimPlace, family: string, key: string): string {
  return `lock__${group}.${claimName(family, key, 40)}`;
}
