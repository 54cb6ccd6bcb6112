/**
 * The objects through which Bun lets an iterator write.
 *
 * @module
 */

/**
 * Whether Bun itself has passed the value to `next()`. It reads the body of a `Response` so, and offers an
 * object to which a generator could write instead of yielding. No program passes such an object: functions
 * cannot be sent.
 */
export function isSink(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    const { write, end, flush } = value as Record<string, unknown>;
    return [write, end, flush].every((method) => typeof method === "function");
  } catch {
    // A getter of a program's own object.
    return false;
  }
}
