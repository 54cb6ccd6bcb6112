/**
 * What has changed among the participants of a channel, for handles that look often: most of the table stays the same.
 *
 * @module
 */
import { checkOpen } from "./channel.ts";
import type { HandleCore } from "./handle_core.ts";

/** The epoch of the participant at a place, in two words, and how many boards it has published. */
const wordsEach = 3;
const placesAtFirst = 128;

export class Roll {
  readonly #handle: HandleCore;
  #before: Uint32Array<ArrayBuffer> = new Uint32Array(placesAtFirst * wordsEach);
  #now: Uint32Array<ArrayBuffer> = new Uint32Array(placesAtFirst * wordsEach);

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
    for (let at = 0; at < now.length; at += wordsEach) {
      const isSame = now[at] === before[at] && now[at + 1] === before[at + 1] &&
        now[at + 2] === before[at + 2];
      if (!isSame) places.push(at / wordsEach);
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
      const count = channel.native.tandem_roll(channel.address, now, now.length);
      if (count * wordsEach <= now.length) return now;
      const longer = new Uint32Array(count * 2 * wordsEach);
      longer.set(this.#before);
      this.#before = longer;
      this.#now = new Uint32Array(longer.length);
    }
  }
}
