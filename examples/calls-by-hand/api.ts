/**
 * What the server can do. Both sides import it, so that both are checked against it.
 *
 * @module
 */

/** Names, arguments and results; they travel as JSON. */
export interface Api {
  add(a: number, b: number): number;
  divide(a: number, b: number): number;
  reverse(text: string): string;
  longest(words: readonly string[]): string | null;
}
