/**
 * The addon for Node, for both architectures. See `zig build embed`.
 *
 * @module
 */

/** The addons in base64. */
export declare const embedded: Record<"x86_64" | "aarch64", string>;
