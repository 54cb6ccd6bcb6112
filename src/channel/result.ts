/**
 * What handlers return.
 *
 * @module
 */
import type { Payload } from "./payload.ts";

/**
 * What a handler may return: the answer. `null`, `undefined` and a boolean stand for an empty answer, or
 * for nothing when the handler has replied itself, so `(request) => request.reply("x")` is a handler, too.
 */
export type Result = Payload | boolean | null | void;
