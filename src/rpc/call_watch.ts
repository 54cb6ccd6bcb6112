/**
 * Follows the calls of a service, for code of this package that supervises it.
 *
 * @module
 */
import type { Delivery } from "../transport/transport.ts";

/** Sees each call of a service begin and end. Must not throw. */
export interface CallWatch {
  /**
   * A method is about to run.
   *
   * @returns a number of its own, which {@linkcode end} gets
   */
  begin(method: string, delivery: Delivery): number;
  /**
   * The call was answered, and its method has ended. It runs before the service takes another call.
   *
   * @param hasFailed the method has thrown
   */
  end(token: number, hasFailed: boolean): void;
}
