/**
 * The other side of `Bun.spawn`'s channel: sends back what it gets.
 *
 * @module
 */
import process from "node:process";

process.on("message", (message: unknown) => process.send?.(message));
process.on("disconnect", () => process.exit());
process.send?.("ready");
