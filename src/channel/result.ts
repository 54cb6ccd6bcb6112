/**
 * The results of handlers.
 *
 * @module
 */
import type { Payload } from "./payload.ts";

/**
 * The result of a handler: the answer. `null`, `undefined` and a boolean stand for an empty answer. The
 * result does not matter if the handler has already replied, so `(request) => request.reply("x")` is a
 * handler, too.
 */
export type Result = Payload | boolean | null | void;
