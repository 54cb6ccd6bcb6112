/**
 * What both sides do around every call. The methods know nothing of tokens and of the ids of requests.
 *
 * @module
 */
import { type Around, callContext, type ClientCall, type ServiceCall } from "@tandem/ipc";
import { createHash, timingSafeEqual } from "node:crypto";
import { Unauthorized } from "./api.ts";

/** For a connection: says who calls, and to which request of the outside world the call belongs. */
export function signed(user: string, token: string): Around<ClientCall> {
  let requests = 0;
  return (call, next) => {
    // A call that a service makes while it handles a request belongs to that request.
    const request = callContext()?.metadata["request"] ?? `${user}-${requests += 1}`;
    call.metadata = { ...call.metadata, user, token, request };
    return next();
  };
}

/** For a service: lets only calls with the right token in, and writes a line about each. */
export function checked(tokens: ReadonlyMap<string, string>): Around<ServiceCall> {
  return async (call, next) => {
    const { user, token, request } = call.metadata;
    const line = `[${String(request)}] ${call.method} for ${String(user)}`;
    if (!isRight(tokens.get(String(user)), token)) {
      console.log(`${line}: refused`);
      throw new Unauthorized(`The token of ${String(user)} is wrong`);
    }
    // The method finds out who calls, and cannot leak the token.
    call.metadata = { user, request };
    try {
      const result = await next();
      console.log(`${line}: ok`);
      return result;
    } catch (error) {
      console.log(`${line}: failed`);
      throw error;
    }
  };
}

/** Compares in a time that tells nothing about the right token, not even its length. */
function isRight(right: string | undefined, token: unknown): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  const isSame = timingSafeEqual(digest(right ?? ""), digest(String(token)));
  return isSame && right !== undefined;
}
