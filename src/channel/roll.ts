/**
 * What has changed among the participants of a channel, for handles that look often: most of the table stays the same.
 *
 * @module
 */
import { checkOpen } from "./channel.ts";
import type { HandleCore } from "./handle_core.ts";

/** How often a participant has gone, */
const headWords = 2;
/** and for each place the epoch of the participant there, in two words, and how many boards it has published. */
const wordsEach = 3;
const placesAtFirst = 128;

function rollOf(places: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(headWords + places * wordsEach);
}

export class Roll {
  readonly #handle: HandleCore;
  #before: Uint32Array<ArrayBuffer> = rollOf(placesAtFirst);
  #now: Uint32Array<ArrayBuffer> = rollOf(placesAtFirst);

  constructor(handle: HandleCore) {
    this.#handle = handle;
  }

  /**
   * The places of the table where, since the last look, a participant has come or gone, or has published a board.
   *
   * @throws {TandemError} `CLOSED`
   */
  changed(): number[] {
    const now = this.#look();
    const before = this.#before;
    const places: number[] = [];
    for (let at = headWords; at < now.length; at += wordsEach) {
      const isSame = now[at] === before[at] && now[at + 1] === before[at + 1] &&
        now[at + 2] === before[at + 2];
      if (!isSame) places.push((at - headWords) / wordsEach);
    }
    this.#now = before;
    this.#before = now;
    return places;
  }

  #look(): Uint32Array<ArrayBuffer> {
    const { channel } = this.#handle;
    checkOpen(channel, "handle");
    for (;;) {
      const now = this.#now;
      // The native side makes use of what is known.
      now.set(this.#before);
      const count = channel.native.tandem_roll(channel.address, now, now.length);
      if (headWords + count * wordsEach <= now.length) return now;
      const longer = rollOf(count * 2);
      longer.set(this.#before);
      this.#before = longer;
      this.#now = rollOf(count * 2);
    }
  }
}
