/**
 * The interface of the database service.
 *
 * @module
 */

/** A value of a column. */
export type Value = null | number | bigint | string | Uint8Array;

/** The methods. */
export interface Database {
  /** Runs a statement without results. */
  run(sql: string, ...values: Value[]): { readonly changes: number };
  /** Runs all statements, or none. */
  transaction(statements: readonly (readonly [sql: string, ...Value[]])[]): number;
  /** Yields rows one by one, as the client reads them. */
  rows(sql: string, ...values: Value[]): Generator<Record<string, Value>, void, undefined>;
  /** Ends the service after the answer to this call. */
  quit(): void;
}
