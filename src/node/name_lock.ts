/**
 * A lock of the kernel for a name, as limits have it: it ends with its process, however that ends. Who gives it back
 * removes its file, or names that are used once would fill the memory. What a killed process leaves is removed by the
 * next one that has the name.
 *
 * @module
 */
import { unlinkChannel } from "../channel/channel.ts";
import { contenderOf, Limit } from "../limit/limit.ts";
import type { Lock } from "../limit/lock.ts";

/** Each attempt but the last has met a file that its last holder was about to remove. */
const attemptsMax = 100;

export class NameLock {
  readonly #limit: Limit;
  readonly #lock: Lock;

  private constructor(limit: Limit, lock: Lock) {
    this.#limit = limit;
    this.#lock = lock;
  }

  /**
   * Null: another one has it.
   *
   * @param target of a limit
   * @param mode of its file
   * @throws what `new Limit` throws
   */
  static take(target: string, mode: number | undefined): NameLock | null {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const limit = new Limit(target, {
        max: 1,
        order: "oldest",
        ...(mode === undefined ? {} : { mode }),
      });
      try {
        const lock = limit.tryAcquire();
        if (lock?.heartbeat()) return new NameLock(limit, lock);
        limit.close();
        if (lock === null) return null;
      } catch (error) {
        limit.close();
        throw error;
      }
    }
    return null;
  }

  /** Aborts when the lock is lost: at the latest a second later. */
  get signal(): AbortSignal {
    return this.#lock.signal;
  }

  /** Looks whether the lock is still held. */
  check(): boolean {
    return this.#lock.heartbeat();
  }

  release(): void {
    // Only who holds a lock removes its file, or another holder would lose its own.
    if (this.check()) removeFile(this.#limit);
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
