/**
 * Flags as options: those that were not given are left out.
 *
 * @module
 */

/** Without members that are undefined. */
export function given<T extends object>(values: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as T;
}
