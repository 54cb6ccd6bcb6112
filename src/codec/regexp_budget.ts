/**
 * Limits the cost of the regular expressions in a message. For some constructs, the runtimes take more
 * time than in proportion to the length of the source: JavaScriptCore compares each named group with all
 * others, and V8 builds the set of characters of each `\p{…}`.
 *
 * @module
 */

/** Units of UTF-16 in all sources of a message together. */
const sourceUnitsMax = 2 ** 16;
/** Named groups and property escapes in all sources of a message together. */
const costlyMax = 256;
/** A property of strings, such as `\p{RGI_Emoji}`, takes V8 a millisecond; others take 40 µs. */
const stringsCost = 16;

/** Matches a named group or a property escape. The capturing group matches properties of strings. */
const costly = /\(\?<[^=!]|\\p\{(RGI_|Basic_Emoji|Emoji_Keycap)?/gi;

export class RegExpBudget {
  #units = 0;
  #costly = 0;

  /** Begins a new message. */
  reset(): void {
    this.#units = 0;
    this.#costly = 0;
  }

  /** Counts a source. Null: it may be compiled; otherwise the reason why not. */
  take(source: string): string | null {
    this.#units += source.length;
    if (this.#units > sourceUnitsMax) {
      return `the regular expressions of a message have more than ${sourceUnitsMax} characters`;
    }
    // Most sources are short and have nothing to count.
    if (source.length >= 4) {
      for (const [, strings] of source.matchAll(costly)) {
        this.#costly += strings === undefined ? 1 : stringsCost;
      }
    }
    if (this.#costly <= costlyMax) return null;
    return `the regular expressions of a message have more than ${costlyMax} named groups and ` +
      "property escapes";
  }
}
