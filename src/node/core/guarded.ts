/**
 * Calls functions of the program whose errors nobody waits for.
 *
 * @module
 */
import { isThenable, report } from "../../base/guard.ts";

/**
 * Runs `run`, and reports what it throws. Never throws.
 *
 * @param source the function of the program
 * @param what its name in the report
 */
export function runGuarded(source: object, what: string, run: () => unknown): void {
  try {
    const result = run();
    if (isThenable(result)) {
      Promise.resolve(result).then(undefined, (error) => report(source, what, error));
    }
  } catch (error) {
    report(source, what, error);
  }
}
