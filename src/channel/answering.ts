/**
 * The end of a request after its handler.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { isPayload } from "./encoding.ts";
import type { RequestCore } from "./request_core.ts";
import type { Result } from "./result.ts";

/** Replies with the result of a handler, unless the handler has replied itself. */
export function answerWith(request: RequestCore, result: Result): void {
  if (request.isAnswered) return;
  try {
    if (isPayload(result)) request.reply(result);
    else if (result === undefined || result === null || typeof result === "boolean") {
      request.reply("");
    } else throw new TypeError(`Cannot send ${describe(result)}: return a string or bytes`);
  } catch (error) {
    failWith(request, error);
  }
}

/** Fails a request whose handler threw. Never throws. */
export function failWith(request: RequestCore, error: unknown): void {
  for (const thrown of [error, new Error("The handler threw a value that cannot be sent")]) {
    try {
      if (!request.isAnswered) request.fail(thrown);
      return;
    } catch {
      // The thrown value cannot be looked at, or the server was closed, which ends its requests.
    }
  }
}
