/**
 * Signed 64-bit values.
 *
 * @module
 */

/**
 * A signed 64-bit value, from -2^63 to 2^63 - 1. A number must be a safe integer. Results are always a
 * bigint.
 */
export type IntValue = bigint | number;
