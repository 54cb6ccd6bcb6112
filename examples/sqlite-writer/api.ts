/**
 * What the database service offers.
 *
 * @module
 */

/** A value of a column. */
export type Value = null | number | bigint | string | Uint8Array;

/** The methods. */
export interface Database {
  /** Runs statements without results. */
  run(sql: string, ...values: Value[]): { readonly changes: number };
  /** Runs all of them, or none. */
  transaction(statements: readonly (readonly [sql: string, ...Value[]])[]): number;
  /** Rows, one after the other as they are read. */
  rows(sql: string, ...values: Value[]): Generator<Record<string, Value>, void, undefined>;
  /** The service ends once this call is answered. */
  quit(): void;
}
