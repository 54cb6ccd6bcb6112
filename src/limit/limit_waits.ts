/**
 * The event loop's side of a limit: sleeping until the contender's bell rings or one that it waits for dies. It
 * never polls; where rings or deaths cannot be reported, it looks in slices of time.
 *
 * @module
 */
import { Alarm } from "../base/alarm.ts";
import { report } from "../base/guard.ts";
import type { Channel } from "../channel/channel.ts";
import { DeathWatch } from "../channel/death_watch.ts";
import { openWatch, weakly } from "../channel/watching.ts";
import { armed, armedUnsure, armNewcomer } from "../ffi/layout.ts";
import type { Watch } from "../runtime/backend.ts";
import { later, laterForSure } from "../runtime/timers.ts";

/** How often to look where rings or deaths cannot be reported, in milliseconds. */
const slice = 25;
/** How many more contenders there may be to watch each time a waiter tries to fall asleep. */
const watchesMax = 10_000;

/** What a sleep is for. */
export interface Sleep {
  /** A promise is pending: the process has to stay alive. */
  readonly keepsAlive: boolean;
  /** When to wake in any case, in the time of `performance.now()`. */
  readonly deadline: number;
}

/** The sleeps of one contender on one file. */
export class LimitWaits {
  readonly #self: WeakRef<LimitWaits> = new WeakRef<LimitWaits>(this);
  readonly #channel: Channel;
  readonly #onWake: () => void;
  readonly #deaths: DeathWatch;
  readonly #alarm: Alarm;
  #isAsleep = false;
  #bell: Watch | null = null;
  #isBellReferenced = false;
  #hasLostBell = false;
  #needsSlices = false;
  /** The last look before this sleep gave up. */
  #isUnsure = false;
  #cancelSlice: (() => void) | null = null;
  #keepsAlive = false;
  /** A look in a turn of its own is due. */
  #isLookDue = false;

  /** @param onWake runs when there may be news, after which the contender looks and sleeps again */
  constructor(channel: Channel, onWake: () => void) {
    this.#channel = channel;
    this.#onWake = onWake;
    this.#deaths = new DeathWatch(channel, () => this.#wake());
    this.#alarm = new Alarm(() => this.#wake(), () => this.#isAsleep);
  }

  /** @returns false: there is news already, or a look must come first; it does not sleep */
  sleep({ keepsAlive, deadline }: Sleep): boolean {
    if (keepsAlive !== this.#keepsAlive) this.#cancelSlices();
    this.#keepsAlive = keepsAlive;
    if (!this.#isAsleep) {
      const result = this.#arm();
      if (result !== armed && result !== armedUnsure) return false;
      this.#isAsleep = true;
      this.#isUnsure = result === armedUnsure;
    }
    this.#reference();
    this.#alarm.set(deadline);
    if (this.#needsSlices || this.#isUnsure) this.#setSlice();
    return true;
  }

  /** A look in a later turn, although nothing is known to have happened. The process stays alive until then. */
  lookLater(): void {
    if (this.#isLookDue) return;
    this.#isLookDue = true;
    this.#channel.backend.nextTurn(() => {
      this.#isLookDue = false;
      if (this.#channel.isOpen) this.#notify();
    }, this.#bell);
  }

  /** Nothing is waited for any more. */
  rest(): void {
    this.#keepsAlive = false;
    this.#reference();
    this.#disarm();
    this.#alarm.rest();
  }

  /** A blocking call has used the contender's wait word meanwhile. */
  restore(): void {
    if (!this.#isAsleep) return;
    this.#disarm();
    this.lookLater();
  }

  /** Before the channel is closed. */
  close(): void {
    this.#isAsleep = false;
    this.#alarm.end();
    this.#cancelSlices();
    this.#bell = null;
    for (const watch of this.#channel.watches) watch.close();
    this.#channel.watches.clear();
    this.#deaths.close();
  }

  #arm(): number {
    const { native, address } = this.#channel;
    this.#makeBell();
    for (let watches = 0; watches < watchesMax; watches++) {
      const result = native.tandem_arm(address, 0);
      if (result !== armNewcomer) return result;
      this.#needsSlices = !this.#deaths.watchAll() || this.#bell === null;
    }
    return armNewcomer;
  }

  #cancelSlices(): void {
    this.#cancelSlice?.();
    this.#cancelSlice = null;
  }

  #disarm(): void {
    this.#cancelSlices();
    if (!this.#isAsleep) return;
    this.#isAsleep = false;
    this.#channel.native.tandem_disarm(this.#channel.address);
  }

  #wake(): void {
    if (!this.#channel.isOpen || !this.#isAsleep) return;
    this.#disarm();
    this.#notify();
  }

  /** The contender depends on this: an error must not end its wait. */
  #notify(): void {
    try {
      this.#onWake();
    } catch (error) {
      report(LimitWaits, "a wait for a lock", error);
    }
  }

  #makeBell(): void {
    if (this.#bell || this.#hasLostBell) return;
    const { native, address, backend } = this.#channel;
    const fd = native.tandem_bell(address, backend.bellKind);
    if (fd >= 0) {
      const onReadable = weakly(this.#self, LimitWaits.#whenRung);
      const onHangup = weakly(this.#self, LimitWaits.#whenBellLost);
      this.#bell = openWatch(this.#channel, fd, onReadable, onHangup);
      this.#isBellReferenced = false;
    }
    if (this.#bell) return;
    // No process can ring here. If the runtime has refused the descriptor, the next would stay open as well.
    this.#hasLostBell = fd >= 0;
    this.#needsSlices = true;
  }

  static readonly #whenRung = (waits: LimitWaits): void => waits.#wake();
  static readonly #whenBellLost = (waits: LimitWaits): void => waits.#loseBell();

  /** The runtime has given up on the descriptor, or other code has closed it. */
  #loseBell(): void {
    if (this.#bell) this.#channel.watches.delete(this.#bell);
    this.#bell = null;
    this.#hasLostBell = true;
    this.#needsSlices = true;
    this.#wake();
  }

  #reference(): void {
    if (!this.#bell || this.#isBellReferenced === this.#keepsAlive) return;
    this.#isBellReferenced = this.#keepsAlive;
    if (this.#keepsAlive) this.#bell.ref();
    else this.#bell.unref();
  }

  #setSlice(): void {
    if (this.#cancelSlice) return;
    // Without a bell, only this timer keeps the process alive for its pending promise.
    const after = this.#bell === null && this.#keepsAlive ? laterForSure : later;
    this.#cancelSlice = after(slice, () => {
      this.#cancelSlice = null;
      if (!this.#channel.isOpen || !this.#isAsleep) return;
      this.#channel.native.tandem_sweep(this.#channel.address);
      this.#wake();
    });
  }
}
