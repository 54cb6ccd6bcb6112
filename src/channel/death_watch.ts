/**
 * The death watch of one handle: a pipe of each other participant, which hangs up when that dies.
 *
 * @module
 */
import { Control, watchDrop, watchIncomplete } from "../ffi/layout.ts";
import type { Watch } from "../runtime/backend.ts";
import { later } from "../runtime/timers.ts";
import type { Channel } from "./channel.ts";
import { openDeathWatch, weakly } from "./watching.ts";

/** When to look again at a death that is not certain yet, in milliseconds after the look before. */
const hangupRetries: readonly number[] = [1, 5, 20, 50, 100];

/** A function of the module, so that the runtime's callback keeps no death watch alive. */
function whenHungUp(participant: number, hungUp: { watch: Watch | null }) {
  return (watching: DeathWatch): void => {
    if (hungUp.watch) watching.hungUp(participant, hungUp.watch, 0);
  };
}

export class DeathWatch {
  readonly #self: WeakRef<DeathWatch> = new WeakRef<DeathWatch>(this);
  readonly #channel: Channel;
  readonly #onDeath: () => void;
  readonly #watches: Map<number, Watch> = new Map();
  readonly #cancelRetries: Map<Watch, () => void> = new Map();
  /** The runtime has refused to watch a participant. */
  #isBlind = false;

  /** @param onDeath runs for each participant that has died or left */
  constructor(channel: Channel, onDeath: () => void) {
    this.#channel = channel;
    this.#onDeath = onDeath;
  }

  /**
   * Watches each participant that is to be watched and is not yet, and leaves those that need not be watched any
   * more. False: some deaths will go unreported.
   */
  watchAll(): boolean {
    const { native, address, words } = this.#channel;
    for (;;) {
      const fd = native.tandem_watch_next(address, words);
      if (fd === watchDrop) {
        this.#drop(words[Control.slot]!);
        continue;
      }
      if (fd < 0) return fd !== watchIncomplete && !this.#isBlind;
      this.#watch(words[Control.slot]!, fd);
    }
  }

  #watch(participant: number, fd: number): void {
    this.#drop(participant);
    const hungUp: { watch: Watch | null } = { watch: null };
    const onHangup = weakly(this.#self, whenHungUp(participant, hungUp));
    hungUp.watch = openDeathWatch(this.#channel, fd, onHangup);
    if (hungUp.watch) this.#watches.set(participant, hungUp.watch);
    else this.#isBlind = true;
  }

  #drop(participant: number): void {
    const watch = this.#watches.get(participant);
    if (!watch) return;
    this.#watches.delete(participant);
    this.#channel.watches.delete(watch);
    this.#cancelRetries.get(watch)?.();
    this.#cancelRetries.delete(watch);
    watch.close();
  }

  /** The kernel closes a dying process's descriptors one by one: its lock may go a moment later. */
  hungUp(participant: number, watch: Watch, retry: number): void {
    this.#cancelRetries.delete(watch);
    if (!this.#channel.isOpen || this.#watches.get(participant) !== watch) return;
    const { native, address } = this.#channel;
    const delay = hangupRetries[retry];
    const givesUp = delay === undefined ? 1 : 0;
    const isSettled = native.tandem_hung_up(address, participant, givesUp) === 1;
    if (!isSettled && delay !== undefined) {
      const again = () => this.hungUp(participant, watch, retry + 1);
      this.#cancelRetries.set(watch, later(delay, again));
      return;
    }
    this.#watches.delete(participant);
    this.#channel.watches.delete(watch);
    this.#onDeath();
  }

  /** Before the channel closes, which closes the pipes. */
  close(): void {
    this.#watches.clear();
    for (const cancel of this.#cancelRetries.values()) cancel();
    this.#cancelRetries.clear();
  }
}
