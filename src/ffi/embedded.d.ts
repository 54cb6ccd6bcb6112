/**
 * What `zig build embed` generates.
 *
 * @module
 */

/** The native library for each architecture, in base64. */
export declare const embedded: Record<"x86_64" | "aarch64", string>;

/** The name by which the dynamic loader knows the library once it is loaded. */
export declare const soname: string;
