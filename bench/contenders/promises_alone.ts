/**
 * The lower limit for calls that are promises: sends nothing, and returns the payload in the next batch of
 * microtasks.
 *
 * @module
 */
import type { Contender } from "./contender.ts";

interface Pending {
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly resolve: (answer: Uint8Array) => void;
}

export const contender: Contender = {
  connect() {
    let pending: Pending[] = [];
    const answerAll = (): void => {
      const calls = pending;
      pending = [];
      for (const { payload, resolve } of calls) resolve(payload);
    };
    return {
      call: (payload) =>
        new Promise((resolve) => {
          if (pending.length === 0) queueMicrotask(answerAll);
          pending.push({ payload, resolve });
        }),
    };
  },
};
