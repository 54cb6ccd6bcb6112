/**
 * Claims as programs see them.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import { type Maker, notConstructible } from "../../base/maker.ts";
import { TandemError } from "../../errors.ts";
import type { ClaimRight } from "./claim_lock.ts";

/** A claim behind its public face. */
export class ClaimCore {
  readonly family: string;
  readonly key: string;
  readonly token: bigint;
  readonly #lock: ClaimRight;
  /** Removes the entry. */
  readonly #leave: () => void;
  #controller: AbortController | null = null;
  #endedBy: { readonly reason: unknown } | null = null;

  constructor(family: string, key: string, lock: ClaimRight, leave: () => void) {
    this.family = family;
    this.key = key;
    this.token = lock.token;
    this.#lock = lock;
    this.#leave = leave;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#endedBy) this.#controller.abort(this.#endedBy.reason);
      else this.#lock.watch((reason) => this.#end(reason));
    }
    return this.#controller.signal;
  }

  /** Looks whether the claim is still good. */
  check(): boolean {
    if (this.#endedBy) return false;
    if (this.#lock.check()) return true;
    this.#end(
      this.#error(
        "CANCELLED",
        "its lock was stolen, its lease was lost, or the lock's file removed; stop what it is for",
      ),
    );
    return false;
  }

  /** Ends it, because another node may claim the key from now on. */
  lose(reason: unknown): void {
    this.#end(reason);
  }

  /** False: it has ended before. */
  release(why: string): boolean {
    return this.#end(this.#error("CLOSED", why));
  }

  #end(reason: unknown): boolean {
    if (this.#endedBy) return false;
    this.#endedBy = { reason };
    this.#leave();
    this.#lock.release();
    try {
      this.#controller?.abort(reason);
    } catch (error) {
      report(Claim, "a listener of a claim's signal", error);
    }
    return true;
  }

  #error(code: "CLOSED" | "CANCELLED", why: string): TandemError {
    return new TandemError(
      code,
      `Cannot keep the claim of ${JSON.stringify(this.key)} in the family ${this.family}: ${why}`,
    );
  }
}

/**
 * The only right of its kind in all nodes of a group: {@linkcode Registry.claim} gives it. It ends when it is disposed,
 * when its node closes, and when its process dies, however it dies; a process that is stopped keeps it.
 */
export class Claim implements Disposable {
  readonly #core: ClaimCore;

  private constructor(core: ClaimCore) {
    if (!(core instanceof ClaimCore)) throw notConstructible("Claim", "node.registry.claim()");
    this.#core = core;
  }

  /**
   * The fencing token: greater than that of all earlier claims of the key. A resource that remembers the greatest
   * token that it has seen can refuse a holder that has lost its claim and does not know it yet.
   */
  get token(): bigint {
    return this.#core.token;
  }

  /**
   * Aborts when the claim ends, also when it is disposed, or its node closes (`CLOSED`). If somebody removes the file of
   * its lock, it aborts within a second. With a network, if somebody removes the claim's record from NATS, it aborts within
   * a third of the node's `lease` for each 64 claims of the node. Ask for the signal only where you use it: it takes a
   * timer, as {@linkcode Lock.signal} does.
   */
  get signal(): AbortSignal {
    return this.#core.signal;
  }

  /** Whether the claim is still good. It looks for itself: two system calls. */
  get isHeld(): boolean {
    return this.#core.check();
  }

  /**
   * Gives the claim back, and removes its entry.
   *
   * @returns false: it has ended before
   */
  release(): boolean {
    return this.#core.release("it was released");
  }

  /** As {@linkcode release}. */
  [Symbol.dispose](): void {
    this.release();
  }
}

export const ClaimMaker: Maker<ClaimCore, Claim> = Claim as unknown as Maker<ClaimCore, Claim>;
