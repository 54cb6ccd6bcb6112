/**
 * The version of the package.
 *
 * @module
 */

/** CI compares it with the other places that name a version. */
export const version = "0.1.0";
