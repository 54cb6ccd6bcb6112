/**
 * The promise forms: looking at shared memory between turns of the event loop while there is
 * traffic, and sleeping until the doorbell rings while there is none.
 *
 * @module
 */
import type { Watch } from "../runtime/backend.ts";
import { later, laterForSure, now, queueMicrotask, timerMax } from "../runtime/timers.ts";
import {
  armed,
  armedLarge,
  armedUnsure,
  armNewcomer,
  Control,
  lingerCrowded,
  lingerWork,
  watchIncomplete,
} from "../ffi/layout.ts";
import type { Channel } from "./channel.ts";
import { report } from "../base/guard.ts";

/** The pending promises of one handle. */
export interface Waits {
  /** Settles what can be settled, and says how much that was. */
  poll(): number;
  /** How much is waited for, as far as it is known. */
  readonly outstanding: number;
  /** Whether a promise is pending, so that the process has to stay alive. */
  readonly isPending: boolean;
  /** Whether the loop has to be woken at all: by a promise, or by an abort that a handler awaits. */
  readonly isWaiting: boolean;
  /** `arm*` flags: what the loop is to be woken for beside its own calls. */
  readonly wanted: number;
  /** Whether there is something that the native side's last look before a sleep does not see. */
  hasMissed(): boolean;
  /** Settles what is over at `now`, and says when the next will be; Infinity for never. */
  expire(now: number): number;
}

type State = "idle" | "polling" | "asleep";

/**
 * How long to go on looking after the last hit, in milliseconds. It grows while waiting for the next
 * one pays and shrinks to nothing while it does not: with a call a millisecond, a poller would keep
 * the processor from the very process that it waits for.
 */
const budgetMax = 0.2;
const budgetStart = 0.05;
const budgetMin = 0.005;
/** Where the budget has come to nothing, one sleep of so many tries again whether looking pays. */
const probeEvery = 16;

/**
 * The next look comes in the same turn of the event loop, which is long compared with a call, unless
 * so much has been settled since the loop's timers and sockets had their turn.
 */
const hitsPerTurn = 128;
/** Or such a time has passed, in milliseconds: a turn of Deno's takes 0.02 by itself. */
const turnMax = 0.2;
/** As long as waits are short, one of so many looks at the clock, which takes a tenth of a call. */
const waitsPerClockMax = 4;
/**
 * With more than this at once looks have to come less often: each of them takes cache lines away from
 * who is writing answers, and many answers share the price of a turn.
 */
const fewAtOnce = 4;
/** Microtasks that whoever was answered has for what comes next, before it is waited for. */
const microtasksBetweenLooks = 2;

/** Retries of a death that is not certain yet, in milliseconds after the hang-up. */
const hangupRetries: readonly number[] = [1, 5, 20, 50, 100];
/** Where somebody cannot be watched, or nobody rings, how often to look; in milliseconds. */
const slice = 25;
/** How long after a huge message its memory may be idle, in milliseconds; the native side knows better. */
const trimAfter = 1050;
/** After a ring, how long to wait before another sleeper is looked for. */
const nudges: readonly number[] = [5, 10, 20, 50];

/**
 * Those with something pending. The others are known to the runtime by weak references alone, so that a
 * handle that was forgotten can be collected.
 */
const busyLoops: Set<Loop> = new Set();

/**
 * What the runtime calls. It is made here, where there is no `this` in reach that it could keep.
 */
function weakly(loop: WeakRef<Loop>, body: (loop: Loop) => void): () => void {
  return () => {
    const found = loop.deref();
    if (found) body(found);
  };
}

/** The event loop's side of one handle. */
export class Loop {
  readonly #self: WeakRef<Loop> = new WeakRef<Loop>(this);
  readonly #channel: Channel;
  readonly #waits: Waits;
  #state: State = "idle";
  #bell: Watch | null = null;
  #isBellReferenced = false;
  #hasLostBell = false;
  /** By participant: connections that hang up when it dies. */
  readonly #watches: Map<number, Watch> = new Map();
  /** A look in a turn of its own, and one after some microtasks. */
  readonly #tick: () => void;
  readonly #microtask: () => void;

  #budget = budgetStart;
  #sleeps = 0;
  /** Looks in a row that found nothing, and when to stop looking. */
  #misses = 0;
  #lookUntil = 0;
  /** How much may be settled still before the event loop has to have a turn. */
  #hitsLeft = 0;
  #microtasksLeft = 0;
  /** When the first look of this turn found nothing; 0: none has. */
  #turnBegan = 0;
  /** Waits since the last look at the clock, and how many there are to be until the next. */
  #waitsUnchecked = 0;
  #waitsPerClock = 1;
  #lastClock = 0;

  /** Ends the wait for {@linkcode #timerAt}. The process does not stay alive for that, but for what
   * is pending. */
  #cancelTimer: (() => void) | null = null;
  #timerAt = Infinity;
  #cancelSlice: (() => void) | null = null;
  #needsSlices = false;
  /** Somebody could not be watched because the runtime refused. */
  #isBlind = false;
  #cancelNudge: (() => void) | null = null;
  #cancelTrim: (() => void) | null = null;
  /** By watch: the next look at a death that is not certain yet. */
  readonly #cancelRetries: Map<Watch, () => void> = new Map();

  /** Somebody may have died whom nobody watched yet. */
  #mayHaveMissed = false;

  /** Told when another participant may have died or left. */
  onDeath: (() => void) | null = null;

  constructor(channel: Channel, waits: Waits) {
    this.#channel = channel;
    this.#waits = waits;
    this.#tick = () => this.#lookInNewTurn();
    this.#microtask = () => {
      this.#microtasksLeft -= 1;
      if (this.#microtasksLeft > 0) queueMicrotask(this.#microtask);
      else this.#look();
    };
  }

  /** A wait was added that may end at `deadline` (of `performance.now()`). */
  start(deadline: number): void {
    busyLoops.add(this);
    if (deadline < this.#timerAt) this.#setTimer(deadline);
    if (this.#state === "polling") return;
    // Asleep, it would be woken as well; awake, it answers sooner. The budget says what pays.
    if (this.#state === "asleep" && this.#budget === 0 && this.#waits.wanted === 0) {
      this.#reference();
      return;
    }
    this.#wakeUp();
    // Not at once: calls that are made together are waited for together.
    if (this.#hitsLeft > 0) this.#lookSoon();
    else this.#nextTurn();
  }

  /** A blocking call has used the handle's wait word meanwhile. */
  restore(): void {
    if (this.#state === "asleep") this.#lookAgain();
  }

  /** A wait was ended from outside: let the process go if it was the last. */
  settle(): void {
    if (!this.#waits.isPending) this.#rest();
  }

  /** Somebody was rung for a request of this handle, and may be stopped before it looks. */
  nudge(): void {
    if (this.#cancelNudge) return;
    const { native, address } = this.#channel;
    let turn = 0;
    const again = (): void => {
      this.#cancelNudge = later(nudges[Math.min(turn, nudges.length - 1)]!, () => {
        this.#cancelNudge = null;
        turn += 1;
        if (this.#channel.isOpen && native.tandem_nudge(address) === 1) again();
      });
    };
    again();
  }

  /** Before the channel is closed. */
  close(): void {
    busyLoops.delete(this);
    this.#cancelTimer?.();
    this.#cancelSlice?.();
    this.#state = "idle";
    this.#bell = null;
    for (const watch of this.#channel.watches) watch.close();
    this.#channel.watches.clear();
    this.#watches.clear();
    for (const cancel of this.#cancelRetries.values()) cancel();
    this.#cancelRetries.clear();
    this.#cancelNudge?.();
    this.#cancelNudge = null;
    this.#cancelTrim?.();
    this.#cancelTrim = null;
  }

  #wakeUp(): void {
    const { native, address } = this.#channel;
    if (this.#state === "asleep") native.tandem_disarm(address);
    this.#state = "polling";
    this.#cancelSlice?.();
    this.#cancelSlice = null;
    this.#misses = 0;
  }

  /** Ends a sleep. */
  #lookAgain(): void {
    this.#wakeUp();
    this.#nextTurn();
  }

  #nextTurn(): void {
    this.#channel.backend.nextTurn(this.#tick, this.#bell);
  }

  #lookSoon(): void {
    this.#microtasksLeft = microtasksBetweenLooks;
    queueMicrotask(this.#microtask);
  }

  #lookInNewTurn(): void {
    this.#hitsLeft = hitsPerTurn;
    this.#turnBegan = 0;
    this.#look();
  }

  /** All that the handle gets, it gets through this: what goes wrong with one of them ends none of the others. */
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
    const hits = this.#waits.poll() || this.#pollLater();
    if (!this.#channel.isOpen) return;
    // Also when nothing else is pending: the next call may follow at once, and the next, for ever.
    this.#hitsLeft -= hits;
    if (!this.#waits.isWaiting) {
      this.#state = "idle";
      this.#rest();
      return;
    }
    if (hits === 0) {
      if (this.#isEnough()) this.#lieDown();
      else this.#nextTurn();
      return;
    }
    // What was there at once is no merit of waiting for it.
    if (this.#misses > 0) this.#budget = Math.min(budgetMax, this.#budget * 2 + budgetMin);
    this.#misses = 0;
    const areFew = hits === 1 && this.#waits.outstanding <= fewAtOnce;
    if (areFew && this.#hitsLeft > 0) this.#lookSoon();
    else this.#nextTurn();
  }

  /** After a look that found nothing: stays a little while, and looks again if that brought something. */
  #pollLater(): number {
    if (!this.#channel.isOpen || !this.#waits.isWaiting) return 0;
    this.#misses += 1;
    if (this.#budget === 0) return 0;
    if (this.#misses === 1) {
      this.#lookUntil = Infinity;
      this.#checkTurn();
    }
    const found = this.#channel.native.tandem_linger(this.#channel.address, this.#waits.wanted);
    if (found === lingerCrowded) this.#lookUntil = 0;
    return found === lingerWork ? this.#waits.poll() : 0;
  }

  /** Before a wait: whether the event loop has to have its turn after it. */
  #checkTurn(): void {
    this.#waitsUnchecked += 1;
    if (this.#turnBegan > 0 && this.#waitsUnchecked < this.#waitsPerClock) return;
    const time = now();
    if (this.#turnBegan === 0) {
      this.#turnBegan = time;
    } else {
      if (time - this.#turnBegan > turnMax) this.#hitsLeft = 0;
      const areQuick = time - this.#lastClock < turnMax / 4;
      this.#waitsPerClock = areQuick ? Math.min(waitsPerClockMax, this.#waitsPerClock + 1) : 1;
    }
    this.#lastClock = time;
    this.#waitsUnchecked = 0;
  }

  /** After a look that found nothing: whether it was the last. */
  #isEnough(): boolean {
    if (this.#budget === 0) return true;
    const time = now();
    if (this.#lookUntil === Infinity) this.#lookUntil = time + this.#budget;
    return time >= this.#lookUntil;
  }

  #lieDown(): void {
    const { native, address } = this.#channel;
    this.#makeBell();
    for (let newcomers = 0; newcomers < 1000; newcomers++) {
      const result = native.tandem_arm(address, this.#waits.wanted);
      const isArmed = result === armed || result === armedLarge || result === armedUnsure;
      if (isArmed && !this.#waits.hasMissed()) {
        if (result === armedLarge) this.#trimLater();
        this.#fallAsleep(result === armedUnsure);
        this.#tellOfDeaths();
        return;
      }
      if (isArmed) {
        native.tandem_disarm(address);
        break;
      }
      if (result !== armNewcomer) break;
      this.#watchEverybody();
      // A newcomer that is gone already will not hang up.
      this.#mayHaveMissed = true;
    }
    this.#nextTurn();
  }

  #tellOfDeaths(): void {
    if (!this.#mayHaveMissed) return;
    this.#mayHaveMissed = false;
    this.onDeath?.();
  }

  #fallAsleep(isUnsure: boolean): void {
    this.#state = "asleep";
    this.#reference();
    this.#sleeps += 1;
    // A budget that was used up without a hit was too long.
    this.#budget = this.#budget < budgetMin ? 0 : this.#budget * 0.7;
    if (this.#budget === 0 && this.#sleeps % probeEvery === 0) this.#budget = budgetStart;
    if (this.#needsSlices || isUnsure) this.#setSlice();
  }

  /** Once a second, and only until what a burst of huge messages took has been given back. */
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
      // Nobody can ring here: look in slices of time instead.
      this.#needsSlices = true;
      return;
    }
    this.#bell = this.#tryWatch(
      fd,
      weakly(this.#self, Loop.#whenRung),
      weakly(this.#self, Loop.#whenBellLost),
    );
    this.#needsSlices ||= this.#bell === null;
    this.#isBellReferenced = false;
  }

  static readonly #whenRung = (loop: Loop): void => loop.#rung();
  static readonly #whenBellLost = (loop: Loop): void => loop.#loseBell();

  /** Told of a hang-up; in a place of its own, where there is no `this` to be kept. */
  static #whenHungUp(participant: number, hungUp: { watch: Watch | null }): (loop: Loop) => void {
    return (loop) => {
      if (hungUp.watch) loop.#hungUp(participant, hungUp.watch, 0);
    };
  }

  static readonly #ignore = (): void => {};

  /** The runtime has given up on the descriptor, or somebody has closed it. */
  #loseBell(): void {
    this.#forget(this.#bell);
    this.#bell = null;
    this.#hasLostBell = true;
    this.#needsSlices = true;
    if (this.#state === "asleep") this.#lookAgain();
  }

  /** Null: the runtime cannot, out of descriptors for instance. */
  #tryWatch(fd: number, onReadable: () => void, onHangup: () => void): Watch | null {
    try {
      const watch = this.#channel.backend.watch(fd, onReadable, onHangup);
      this.#channel.watches.add(watch);
      return watch;
    } catch {
      return null;
    }
  }

  #forget(watch: Watch | null | undefined): void {
    if (watch) this.#channel.watches.delete(watch);
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
    if (this.#waits.isWaiting) return;
    busyLoops.delete(this);
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#timerAt = Infinity;
    this.#cancelSlice?.();
    this.#cancelSlice = null;
    if (this.#state === "asleep") {
      this.#state = "idle";
      this.#channel.native.tandem_disarm(this.#channel.address);
    }
  }

  #setTimer(deadline: number): void {
    this.#cancelTimer?.();
    this.#timerAt = deadline;
    // Longer than a timer can count: look again then.
    const delay = Math.min(Math.max(0, deadline - now()), timerMax);
    this.#cancelTimer = later(delay, () => this.#expire());
  }

  #expire(): void {
    this.#cancelTimer = null;
    this.#timerAt = Infinity;
    if (!this.#channel.isOpen) return;
    const next = this.#waits.expire(now());
    if (next < Infinity) this.#setTimer(next);
    else this.settle();
  }

  #setSlice(): void {
    if (this.#cancelSlice) return;
    // Without a bell, this is what keeps the process alive for its pending promises.
    const keepAlive = this.#bell === null && this.#waits.isPending;
    const after = keepAlive ? laterForSure : later;
    this.#cancelSlice = after(slice, () => {
      this.#cancelSlice = null;
      if (!this.#channel.isOpen || this.#state !== "asleep") return;
      this.#channel.native.tandem_sweep(this.#channel.address);
      this.#lookAgain();
      this.onDeath?.();
    });
  }

  #watchEverybody(): void {
    const { native, address, words } = this.#channel;
    for (;;) {
      const fd = native.tandem_watch_next(address, words);
      if (fd < 0) {
        this.#needsSlices = fd === watchIncomplete || this.#bell === null || this.#isBlind;
        return;
      }
      const participant = words[Control.slot]!;
      const last = this.#watches.get(participant);
      last?.close();
      this.#forget(last);
      const hungUp: { watch: Watch | null } = { watch: null };
      const whenHungUp = Loop.#whenHungUp(participant, hungUp);
      const watch = this.#tryWatch(fd, Loop.#ignore, weakly(this.#self, whenHungUp));
      hungUp.watch = watch;
      if (watch) this.#watches.set(participant, watch);
      else this.#isBlind = true;
    }
  }

  /** The kernel closes a dying process's descriptors one by one: the lock may go a moment later. */
  #hungUp(participant: number, watch: Watch, retry: number): void {
    this.#cancelRetries.delete(watch);
    if (!this.#channel.isOpen || this.#watches.get(participant) !== watch) return;
    const { native, address } = this.#channel;
    const delay = hangupRetries[retry];
    const isSettled =
      native.tandem_hung_up(address, participant, delay === undefined ? 1 : 0) === 1;
    if (!isSettled && delay !== undefined) {
      const again = () => this.#hungUp(participant, watch, retry + 1);
      this.#cancelRetries.set(watch, later(delay, again));
      return;
    }
    this.#watches.delete(participant);
    this.#forget(watch);
    if (this.#state === "asleep") this.#lookAgain();
    this.onDeath?.();
  }
}
