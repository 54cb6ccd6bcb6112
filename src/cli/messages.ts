/**
 * Errors as one line.
 *
 * @module
 */

/** The message of an error, with its code. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? `${error.message} (${code})` : error.message;
}
