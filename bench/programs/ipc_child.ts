/**
 * A child process of `Bun.spawn` or `fork` that sends each message back.
 *
 * @module
 */
import process from "node:process";

process.on("message", (message: unknown) => process.send?.(message));
process.on("disconnect", () => process.exit());
process.send?.("ready");
