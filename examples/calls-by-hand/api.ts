/**
 * The interface of the server. Both sides import it, so that the compiler checks both.
 *
 * @module
 */

/** The functions. Arguments and results are sent as JSON. */
export interface Api {
  add(a: number, b: number): number;
  divide(a: number, b: number): number;
  reverse(text: string): string;
  longest(words: readonly string[]): string | null;
}
