/**
 * The promise forms: the event loop's side of one handle. While there is traffic, it looks at shared
 * memory between turns of the event loop; while there is none, it sleeps until its bell rings.
 * `pacing.ts` decides which.
 *
 * @module
 */
import { Alarm } from "../base/alarm.ts";
import { report } from "../base/guard.ts";
import {
  armed,
  armedLarge,
  armedUnsure,
  armNewcomer,
  lingerCrowded,
  lingerWork,
} from "../ffi/layout.ts";
import type { Watch } from "../runtime/backend.ts";
import { later, laterForSure, now, queueMicrotask } from "../runtime/timers.ts";
import type { Channel } from "./channel.ts";
import { DeathWatch } from "./death_watch.ts";
import { pauseBeforeNudge } from "./nudge_pauses.ts";
import { type Next, Pacing } from "./pacing.ts";
import { openWatch, weakly } from "./watching.ts";

/** The pending promises of one handle. */
export interface Waits {
  /** Settles the promises whose results are there. Returns how many. */
  poll(): number;
  /** How many results this handle knows that it waits for. */
  readonly outstanding: number;
  /** Whether a promise is pending, so that the process has to stay alive. */
  readonly isPending: boolean;
  /** Whether the loop has to be woken at all: by a promise, or by an abort that a handler awaits. */
  readonly isWaiting: boolean;
  /** `arm*` flags: the events that wake the loop beside answers to its own calls. */
  readonly wanted: number;
  /** Whether a handler may still answer its request within some microtasks; the next look waits for that. */
  readonly isSettling: boolean;
  /** Whether the last look left a request to another server. */
  readonly standsBack: boolean;
  /** Whether there is a result that the native side's last look before a sleep does not see. */
  hasMissed(): boolean;
  /** Settles the promises whose deadline is over at `now`. Returns the next deadline, or Infinity. */
  expire(now: number): number;
}

type State = "idle" | "polling" | "asleep";

/** Microtasks in which the program can react to an answer before the next look. */
const microtasksBetweenLooks = 2;
/** How many of them a handler has for its answer before this server counts as busy. */
const microtasksToSettle = 16;
/** How often to look where rings or deaths cannot be reported, in milliseconds. */
const slice = 25;
/** How long after a huge message its memory may be idle, in milliseconds; the native side decides. */
const trimAfter = 1050;
/** How many newcomers may appear while a loop tries to fall asleep. */
const newcomersMax = 1000;

/**
 * Loops with something pending. The runtime has only weak references to the others, so that a handle
 * that the program has forgotten can be collected.
 */
const busyLoops: Set<Loop> = new Set();

/** The event loop's side of one handle. */
export class Loop {
  readonly #self: WeakRef<Loop> = new WeakRef<Loop>(this);
  readonly #channel: Channel;
  readonly #waits: Waits;
  readonly #pacing: Pacing = new Pacing();
  readonly #deaths: DeathWatch;
  #state: State = "idle";
  #bell: Watch | null = null;
  #isBellReferenced = false;
  #hasLostBell = false;
  /** A look in a turn of its own, and one after some microtasks. */
  readonly #tick: () => void;
  readonly #microtask: () => void;
  #microtasksLeft = 0;
  #settles = false;
  /** The loop has not polled until now. */
  #isFirstTurn = false;

  /** No wait ends earlier. A loop that polls looks at the clock itself, so it needs no timer. */
  #nextDeadline = Infinity;
  /** For a loop that sleeps. */
  readonly #alarm: Alarm;
  #cancelSlice: (() => void) | null = null;
  #needsSlices = false;
  #cancelNudge: (() => void) | null = null;
  #mayNeedNudge = false;
  /** One of the requests has no wait that would end with it. */
  #nudgesWithoutWaits = false;
  #cancelTrim: (() => void) | null = null;
  /** A participant may have died that this handle did not watch yet. */
  #mayHaveMissedDeath = false;

  /** The channel among whose participants this loop's peers wait, if that is another one. */
  crowd: Channel | null = null;
  /** Nothing comes, as far as anybody knows, so it does not poll for more. */
  isQuiet = false;
  /** Others rely on its death watches, so it never rests. */
  #isSentinel = false;

  /** Runs when other participants may have come, died or left. */
  onDeath: (() => void) | null = null;

  constructor(channel: Channel, waits: Waits) {
    this.#channel = channel;
    this.#waits = waits;
    this.#deaths = new DeathWatch(channel, () => {
      if (this.#state === "asleep") this.#lookAgain();
      this.onDeath?.();
    });
    // The alarm of an ended wait goes on, and must not keep a handle that the program has forgotten.
    this.#alarm = new Alarm(weakly(this.#self, Loop.#whenDue));
    this.#tick = () => this.#lookInNewTurn();
    this.#microtask = () => {
      this.#microtasksLeft -= 1;
      if (this.#settles && !this.#waits.isSettling) this.#microtasksLeft = 0;
      if (this.#microtasksLeft > 0) queueMicrotask(this.#microtask);
      else this.#look();
    };
  }

  /** A wait was added that may end at `deadline` (of `performance.now()`). */
  start(deadline: number): void {
    busyLoops.add(this);
    if (deadline < this.#nextDeadline) this.#nextDeadline = deadline;
    if (this.#state === "polling") return;
    this.#wakeUp();
    this.#continue(this.#pacing.first);
  }

  /** A blocking call has used the handle's wait word meanwhile. */
  restore(): void {
    if (this.#state === "asleep") this.#lookAgain();
  }

  /**
   * From now on it watches other participants, and so learns who comes and goes, until it is closed. That alone
   * does not keep the process alive.
   */
  keepWatch(): void {
    this.#channel.native.tandem_keep_watch(this.#channel.address);
    this.#isSentinel = true;
    this.start(Infinity);
  }

  /** A wait was ended from outside: if it was the last, the process may end. */
  settle(): void {
    if (!this.#waits.isPending) this.#rest();
  }

  /**
   * A sleeper was rung for a request of this handle. It may be stopped before it looks.
   *
   * @param isWatched whether a wait follows at once, so that the last wait ends after the request
   */
  nudge(isWatched: boolean): void {
    this.#mayNeedNudge = true;
    if (!isWatched) this.#nudgesWithoutWaits = true;
    // A loop that goes to sleep soon sets the timer then: most answers come before.
    if (this.#state === "asleep" || !isWatched) this.#nudgeLater();
  }

  #nudgeLater(): void {
    if (this.#cancelNudge || !this.#mayNeedNudge) return;
    const { native, address } = this.#channel;
    let turn = 0;
    const again = (): void => {
      this.#cancelNudge = later(pauseBeforeNudge(turn), () => {
        this.#cancelNudge = null;
        turn += 1;
        if (this.#channel.isOpen && native.tandem_nudge(address) === 1) again();
        else this.#endNudges();
      });
    };
    again();
  }

  #endNudges(): void {
    this.#cancelNudge?.();
    this.#cancelNudge = null;
    this.#mayNeedNudge = false;
    this.#nudgesWithoutWaits = false;
  }

  /** Before the channel is closed. */
  close(): void {
    busyLoops.delete(this);
    this.#alarm.end();
    this.#cancelSlice?.();
    this.#state = "idle";
    this.#bell = null;
    for (const watch of this.#channel.watches) watch.close();
    this.#channel.watches.clear();
    this.#deaths.close();
    this.#endNudges();
    this.#cancelTrim?.();
    this.#cancelTrim = null;
  }

  #wakeUp(): void {
    const { native, address } = this.#channel;
    if (this.#state === "asleep") native.tandem_disarm(address);
    this.#state = "polling";
    this.#isFirstTurn = true;
    this.#cancelSlice?.();
    this.#cancelSlice = null;
    this.#pacing.wake();
  }

  /** Ends a sleep. */
  #lookAgain(): void {
    this.#wakeUp();
    this.#nextTurn();
  }

  #continue(next: Next): void {
    if (next === "microtask") this.#lookSoon();
    else if (next === "turn") this.#nextTurn();
    else this.#lieDown();
  }

  #nextTurn(): void {
    const isFirst = this.#isFirstTurn;
    this.#isFirstTurn = false;
    this.#channel.backend.nextTurn(this.#tick, this.#bell, isFirst);
  }

  #lookSoon(): void {
    this.#settles = this.#waits.isSettling;
    this.#microtasksLeft = this.#settles ? microtasksToSettle : microtasksBetweenLooks;
    queueMicrotask(this.#microtask);
  }

  #lookInNewTurn(): void {
    this.#pacing.beginTurn();
    this.#look();
  }

  /** All waits of the handle depend on this: an error in one of them must not end the others. */
  #look(): void {
    try {
      this.#lookOnce();
    } catch (error) {
      report(Loop, "a wait of the event loop", error);
      if (this.#channel.isOpen && this.#state === "polling") this.#nextTurn();
    }
  }

  #lookOnce(): void {
    if (!this.#channel.isOpen || this.#state !== "polling") return;
    const mayLinger = !this.#waits.standsBack && !this.isQuiet;
    const hits = this.#waits.poll() || (mayLinger ? this.#linger() : 0);
    if (!this.#channel.isOpen) return;
    // The clock costs as much as a part of a call, and these looks need no time.
    const needsNoTime = hits > 0 && this.#nextDeadline === Infinity;
    const time = needsNoTime ? 0 : now();
    if (time >= this.#nextDeadline) this.#expireAt(time);
    if (!this.#channel.isOpen) return;
    // Also when nothing else is pending: the next call may follow at once, and the next, for ever.
    this.#pacing.count(hits);
    if (!this.#waits.isWaiting) {
      if (!this.#isSentinel) this.#state = "idle";
      this.#rest();
      if (this.#isSentinel) this.#lieDown();
    } else if (hits > 0) {
      const { outstanding, isSettling } = this.#waits;
      this.#continue(this.#pacing.afterHits(hits, outstanding, isSettling));
    } else if (this.#waits.standsBack) {
      // Until the other server takes the request, or its time is over.
      this.#nextTurn();
    } else if (this.isQuiet) {
      this.#lieDown();
    } else {
      this.#continue(this.#pacing.afterMiss(time));
    }
  }

  /** After a look that found nothing: lingers, and looks again if that has found work. */
  #linger(): number {
    if (!this.#channel.isOpen || !this.#waits.isWaiting || !this.#pacing.miss(now())) return 0;
    const { native, address } = this.#channel;
    const { wanted } = this.#waits;
    const found = this.crowd?.isOpen
      ? native.tandem_linger_among(address, wanted, this.crowd.address)
      : native.tandem_linger(address, wanted);
    if (found === lingerCrowded) this.#pacing.yield();
    return found === lingerWork ? this.#waits.poll() : 0;
  }

  #lieDown(): void {
    const { native, address } = this.#channel;
    this.#makeBell();
    for (let newcomers = 0; newcomers < newcomersMax; newcomers++) {
      const result = native.tandem_arm(address, this.#waits.wanted);
      const isArmed = result === armed || result === armedLarge || result === armedUnsure;
      if (isArmed && !this.#waits.hasMissed()) {
        if (result === armedLarge) this.#trimLater();
        this.#fallAsleep(result === armedUnsure);
        this.#reportMissedDeath();
        return;
      }
      if (isArmed) {
        native.tandem_disarm(address);
        break;
      }
      if (result !== armNewcomer) break;
      this.#needsSlices = !this.#deaths.watchAll() || this.#bell === null;
      // A newcomer that is gone already will not hang up.
      this.#mayHaveMissedDeath = true;
    }
    this.#nextTurn();
  }

  #reportMissedDeath(): void {
    if (!this.#mayHaveMissedDeath) return;
    this.#mayHaveMissedDeath = false;
    this.onDeath?.();
  }

  #fallAsleep(isUnsure: boolean): void {
    this.#state = "asleep";
    this.#reference();
    this.#alarm.set(this.#nextDeadline);
    this.#nudgeLater();
    this.#pacing.sleep();
    if (this.#needsSlices || isUnsure) this.#setSlice();
  }

  /** Once a second, and only until the memory of a burst of huge messages has been given back. */
  #trimLater(): void {
    if (this.#cancelTrim) return;
    const { native, address } = this.#channel;
    this.#cancelTrim = later(trimAfter, () => {
      this.#cancelTrim = null;
      if (this.#channel.isOpen && native.tandem_trim(address) === 1) this.#trimLater();
    });
  }

  #makeBell(): void {
    if (this.#bell || this.#hasLostBell) return;
    const { native, address, backend } = this.#channel;
    const fd = native.tandem_bell(address, backend.bellKind);
    if (fd < 0) {
      // No process can ring here: look in slices of time instead.
      this.#needsSlices = true;
      return;
    }
    this.#bell = openWatch(
      this.#channel,
      fd,
      weakly(this.#self, Loop.#whenRung),
      weakly(this.#self, Loop.#whenBellLost),
    );
    this.#isBellReferenced = false;
    if (this.#bell) return;
    this.#needsSlices = true;
    // The next attempt would fail as well, and leave another descriptor open.
    this.#hasLostBell = true;
  }

  static readonly #whenDue = (loop: Loop): void => loop.#expire();
  static readonly #whenRung = (loop: Loop): void => loop.#rung();
  static readonly #whenBellLost = (loop: Loop): void => loop.#loseBell();

  /** The runtime has given up on the descriptor, or other code has closed it. */
  #loseBell(): void {
    if (this.#bell) this.#channel.watches.delete(this.#bell);
    this.#bell = null;
    this.#hasLostBell = true;
    this.#needsSlices = true;
    if (this.#state === "asleep") this.#lookAgain();
  }

  #rung(): void {
    if (this.#state !== "asleep") return;
    this.#wakeUp();
    this.#lookInNewTurn();
  }

  /** The process stays alive for pending promises and for nothing else. */
  #reference(): void {
    const isNeeded = this.#waits.isPending && this.#state !== "idle";
    if (this.#isBellReferenced === isNeeded || !this.#bell) return;
    this.#isBellReferenced = isNeeded;
    if (isNeeded) this.#bell.ref();
    else this.#bell.unref();
  }

  /** Nothing is pending. */
  #rest(): void {
    if (this.#bell && this.#isBellReferenced) {
      this.#isBellReferenced = false;
      this.#bell.unref();
    }
    if (this.#waits.isWaiting || this.#isSentinel) return;
    busyLoops.delete(this);
    // The alarm goes on: it rings once in vain at most, and setting it anew takes longer than a call.
    this.#nextDeadline = Infinity;
    if (!this.#nudgesWithoutWaits) this.#endNudges();
    this.#cancelSlice?.();
    this.#cancelSlice = null;
    if (this.#state === "asleep") {
      this.#state = "idle";
      this.#channel.native.tandem_disarm(this.#channel.address);
    }
  }

  #expire(): void {
    if (!this.#channel.isOpen) return;
    this.#expireAt(now());
    if (this.#state === "asleep") this.#alarm.set(this.#nextDeadline);
    this.settle();
  }

  #expireAt(time: number): void {
    this.#nextDeadline = Infinity;
    const next = this.#waits.expire(time);
    // Waits may have been added meanwhile.
    if (next < this.#nextDeadline) this.#nextDeadline = next;
  }

  #setSlice(): void {
    if (this.#cancelSlice) return;
    // Without a bell, only this timer keeps the process alive for its pending promises.
    const keepsAlive = this.#bell === null && this.#waits.isPending;
    const after = keepsAlive ? laterForSure : later;
    this.#cancelSlice = after(slice, () => {
      this.#cancelSlice = null;
      if (!this.#channel.isOpen || this.#state !== "asleep") return;
      this.#channel.native.tandem_sweep(this.#channel.address);
      this.#lookAgain();
      this.onDeath?.();
    });
  }
}
