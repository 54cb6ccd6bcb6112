/**
 * What the regular expressions of one message may cost. The runtimes check a source when the
 * expression is made, and for some constructs that takes more than in proportion to its length: JavaScriptCore
 * compares each named group with all others, and V8 builds the set of characters of each `\p{…}`.
 *
 * @module
 */

/** Units of UTF-16 in all sources of a message. */
const sourceUnitsMax = 2 ** 16;
/** Named groups and property escapes in all sources of a message. */
const costlyMax = 256;
/** A property of strings, such as `\p{RGI_Emoji}`, takes V8 a millisecond; others take 40 µs. */
const stringsCost = 16;

/** A named group, a property escape; the group matches those that stand for strings. */
const costly = /\(\?<[^=!]|\\p\{(RGI_|Basic_Emoji|Emoji_Keycap)?/gi;

export class RegExpBudget {
  #units = 0;
  #costly = 0;

  /** For a new message. */
  reset(): void {
    this.#units = 0;
    this.#costly = 0;
  }

  /** Null: the source may be compiled; else why not. */
  take(source: string): string | null {
    this.#units += source.length;
    if (this.#units > sourceUnitsMax) {
      return `the regular expressions of a message have more than ${sourceUnitsMax} characters`;
    }
    // Short sources are the rule, and have nothing to count.
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
