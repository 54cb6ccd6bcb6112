/**
 * The outcome of each operation, and the outcomes that must never occur.
 *
 * @module
 */
import { type ErrorCode, TandemError } from "../../../mod.ts";
import type { Journal } from "./journal.ts";

/** Every code of api.md that a channel may throw. */
const codes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "TIMEOUT",
  "BUSY",
  "TOO_LARGE",
  "SERVER_DIED",
  "CANCELLED",
  "CLOSED",
  "NOT_FOUND",
  "EXISTS",
  "MISMATCH",
  "INCOMPATIBLE",
  "CORRUPT",
  "PERMISSION",
  "NO_SPACE",
  "UNSUPPORTED",
  "REMOTE",
]);

/** The reason of every abort here. */
export const aborted: Error = new Error("aborted on purpose");

/** Counts by operation and result, as they travel to the parent. */
export interface Account {
  readonly results: Record<string, Record<string, number>>;
  /** Errors without a code, with their stacks. */
  readonly faults: string[];
  /** The longest time by which an operation took more than its time-out, in milliseconds. */
  longest: { operation: string; milliseconds: number };
}

/** The most that one process reports. */
const faultsMax = 20;

export class Ledger {
  readonly account: Account = {
    results: {},
    faults: [],
    longest: { operation: "none", milliseconds: 0 },
  };
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /**
   * Does one thing and writes down its outcome.
   *
   * @param timeout milliseconds that it may wait
   * @returns the result of `body`; null when it threw
   */
  async step<T>(
    lane: number,
    operation: string,
    timeout: number,
    body: () => T | Promise<T>,
  ): Promise<T | null> {
    this.#journal.begin(lane, operation);
    const started = performance.now();
    try {
      const result = await body();
      this.#count(operation, "done");
      return result;
    } catch (error) {
      this.#count(operation, this.#judge(operation, error));
      return null;
    } finally {
      const over = performance.now() - started - timeout;
      const { account } = this;
      if (over > account.longest.milliseconds) {
        account.longest = { operation, milliseconds: Math.round(over) };
      }
      this.#journal.end(lane);
    }
  }

  #judge(operation: string, error: unknown): string {
    if (error === aborted) return "aborted";
    if (error instanceof TandemError && codes.has(error.code)) return error.code;
    const { faults } = this.account;
    const text = error instanceof Error ? error.stack ?? String(error) : String(error);
    if (faults.length < faultsMax) faults.push(`${operation}: ${text}`);
    return "fault";
  }

  #count(operation: string, result: string): void {
    const results = this.account.results[operation] ??= {};
    results[result] = (results[result] ?? 0) + 1;
  }
}
