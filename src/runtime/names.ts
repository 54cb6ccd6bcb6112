/**
 * The names of the supported runtimes.
 *
 * @module
 */

/** A runtime that the package supports. */
export type RuntimeName = "deno" | "bun" | "node";

/** Every supported runtime. */
export const runtimeNames: readonly RuntimeName[] = ["deno", "bun", "node"];
