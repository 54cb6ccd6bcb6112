/**
 * Acquires a place of a limit that nobody else wants, and gives it back.
 *
 * @module
 */
import { Limit } from "../../src/limit/main.ts";
import type { BlockingCall } from "../lib/calling.ts";
import type { Contender } from "./contender.ts";

export const contender: Contender = {
  connect(address) {
    const limit = new Limit(address, { max: 1 });
    return {
      blocking: (form) => callOf(limit, form),
      async call(payload) {
        const lock = await limit.acquire();
        if (!lock?.release()) throw new Error("No lock");
        return payload;
      },
    };
  },
};

function callOf(limit: Limit, form: string): BlockingCall {
  switch (form) {
    case "acquireSync":
      return () => {
        if (!limit.acquireSync()?.release()) throw new Error("No lock");
      };
    case "tryAcquire":
      return () => {
        if (!limit.tryAcquire()?.release()) throw new Error("No lock");
      };
    default:
      throw new Error(`There is no form "${form}"`);
  }
}
