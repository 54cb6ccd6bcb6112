/**
 * What makes a claim unique: a lock of the kernel for each key, as limits have it, so it ends with its process,
 * however that ends. Its file is removed when the claim is released, or keys that are used once would fill the memory.
 *
 * A new file has a new count of tokens. So tokens come from one file of the group that nobody removes. They are
 * drawn while the key's lock is held, so a later holder of the key has a greater one. To draw is to hold a shared
 * lock for a moment: sharers wait for nobody, also not for one that was stopped.
 *
 * @module
 */
import { onAbort } from "../../base/abort.ts";
import { unlinkChannel } from "../../channel/channel.ts";
import { TandemError } from "../../errors.ts";
import { contenderOf, Limit } from "../../limit/limit.ts";
import type { Lock } from "../../limit/lock.ts";
import { hashOf } from "../../limit/lock_names.ts";

/** Where the locks of a group are. */
export interface ClaimPlace {
  readonly group: string;
  /** Of the files. */
  readonly mode: number;
}

export class ClaimLock {
  readonly #limit: Limit;
  readonly #lock: Lock;
  readonly token: bigint;
  #forgetSignal: (() => void) | null = null;

  private constructor(limit: Limit, lock: Lock, token: bigint) {
    this.#limit = limit;
    this.#lock = lock;
    this.token = token;
  }

  /**
   * Null: another one has it.
   *
   * @throws what `new Limit` throws
   */
  static take(place: ClaimPlace, family: string, key: string): ClaimLock | null {
    const limit = new Limit(targetOf(place, family, key), {
      max: 1,
      order: "oldest",
      mode: place.mode,
    });
    try {
      const lock = limit.tryAcquire();
      if (lock) return ClaimLock.#draw(place, limit, lock);
    } catch (error) {
      limit.close();
      throw error;
    }
    limit.close();
    return null;
  }

  static #draw(place: ClaimPlace, limit: Limit, lock: Lock): ClaimLock | null {
    try {
      const claim = new ClaimLock(limit, lock, drawToken(place));
      if (lock.heartbeat()) return claim;
    } catch (error) {
      new ClaimLock(limit, lock, 0n).release();
      throw error;
    }
    limit.close();
    return null;
  }

  /** Looks whether the lock is still held. */
  check(): boolean {
    return this.#lock.heartbeat();
  }

  /** From now on, `lost` runs once the lock is lost: at the latest a second later. */
  watch(lost: (reason: unknown) => void): void {
    const { signal } = this.#lock;
    this.#forgetSignal = onAbort(signal, () => lost(signal.reason));
  }

  release(): void {
    this.#forgetSignal?.();
    // Only who holds a lock removes its file, or another holder would lose its own.
    if (this.#lock.heartbeat()) removeFile(this.#limit);
    this.#limit.close();
  }
}

function removeFile(limit: Limit): void {
  try {
    unlinkChannel(contenderOf(limit).core.channel.path!);
  } catch {
    // Another user has made it, and only that one may remove it.
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
  const hint = family.slice(0, 40).replaceAll(":", "-");
  return `lock__${group}.claim.${hint}.${hashOf(`${family} ${key}`)}`;
}
