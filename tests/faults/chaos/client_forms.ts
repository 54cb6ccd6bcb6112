/**
 * The forms of a call. Each takes one call from its intent to its outcome.
 *
 * @module
 */
import { type Call, type Client, TandemError } from "../../../mod.ts";
import { aborted, type Attempt, type ClientLog } from "./client_log.ts";
import { payloadBytesMax, requestHeadBytes } from "./content.ts";
import { ClientFlag, Outcome } from "./ledger.ts";
import { sleep, type Stage } from "./player.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** The means that a form can use. */
export interface Means {
  readonly stage: Stage;
  readonly client: Client;
  readonly log: ClientLog;
}

/** The part of its intent that a form needs. */
export interface Traits {
  /** The client knows the id before the answer, so that the request may have any length. */
  readonly knowsId?: true;
  /** `ClientFlag`s. */
  readonly flags?: number;
  /** Its waits have time-outs. The call itself has none, because the two would look alike. */
  readonly timesItself?: true;
  /** It waits without need, or does not wait for the answer. */
  readonly dawdles?: true;
}

export interface BlockingForm extends Traits {
  run(means: Means, attempt: Attempt): void;
}

export interface PromiseForm extends Traits {
  run(means: Means, attempt: Attempt): Promise<void>;
}

const scratch: Bytes = new Uint8Array(payloadBytesMax);
/** Of blocking calls, which use it in turn. */
const into: Bytes = new Uint8Array(payloadBytesMax);

/** The request's bytes, in a buffer that the next call uses again. */
function requestOf({ stage }: Means, { number, length }: Attempt): Bytes {
  const bytes = scratch.subarray(0, length);
  stage.content.fillRequest(bytes, { client: stage.part.id, number });
  return bytes;
}

function optionsOf({ timeout, maxDeliveries }: Attempt): {
  maxDeliveries: number;
  timeout?: number;
} {
  return { maxDeliveries, ...(timeout !== undefined && { timeout }) };
}

/** A wait that sometimes gives up; the call stays open. */
function isGivenUp(error: unknown): boolean {
  return error instanceof TandemError && error.code === "TIMEOUT";
}

/** An array for the answer, sometimes too short. */
function intoOf({ stage }: Means): Bytes {
  return stage.random.chance(0.1) ? into.subarray(0, stage.random.between(0, 200)) : into;
}

const unused = new Int32Array(new SharedArrayBuffer(4));

/** Yields the processor. */
function pause(): void {
  Atomics.wait(unused, 0, 0, 1);
}

function sendSync(means: Means, attempt: Attempt): Call {
  const call = means.client.sendSync(requestOf(means, attempt), optionsOf(attempt));
  means.log.identify(attempt, call.id);
  return call;
}

function allocate(means: Means, { number, length }: Attempt): ReturnType<Client["allocate"]> {
  const draft = means.client.allocate(length);
  means.stage.content.fillRequest(draft.bytes, { client: means.stage.part.id, number });
  return draft;
}

/** Looks for an answer many times. A view throws the handler's error, and the call keeps the slot. */
function lookAt({ stage }: Means, call: Call): void {
  for (let turns = stage.random.skewed(1, 3000); turns > 0; turns--) call.view();
}

/** Ends an open call from this side. The answer may have come at the last moment. */
function cancel({ log }: Means, attempt: Attempt, call: Call): void {
  if (call.cancel()) log.end(attempt, Outcome.cancelled);
  else log.answer(attempt, call.getSync());
}

export const blockingForms: Readonly<Record<string, BlockingForm>> = {
  requestSync: {
    run(means, attempt) {
      const answer = means.client.requestSync(requestOf(means, attempt), optionsOf(attempt));
      means.log.answer(attempt, answer);
    },
  },
  requestSyncInto: {
    flags: ClientFlag.smallInto,
    run(means, attempt) {
      const options = { ...optionsOf(attempt), into: intoOf(means) };
      means.log.answer(attempt, means.client.requestSync(requestOf(means, attempt), options));
    },
  },
  trySend: {
    knowsId: true,
    run(means, attempt) {
      const call = means.client.trySend(requestOf(means, attempt), optionsOf(attempt));
      if (!call) return means.log.end(attempt, Outcome.busy);
      means.log.identify(attempt, call.id);
      for (let turn = 0;; turn++) {
        const answer = call.tryGet();
        if (answer) return means.log.answer(attempt, answer);
        if (turn > 500) pause();
      }
    },
  },
  sendSync: {
    knowsId: true,
    run(means, attempt) {
      means.log.answer(attempt, sendSync(means, attempt).getSync());
    },
  },
  readySync: {
    knowsId: true,
    run(means, attempt) {
      using call = sendSync(means, attempt);
      call.readySync();
      means.log.answer(attempt, call.view()!);
    },
  },
  impatientGetSync: {
    dawdles: true,
    knowsId: true,
    timesItself: true,
    run(means, attempt) {
      const call = sendSync(means, attempt);
      for (;;) {
        try {
          const timeout = means.stage.random.pick([0, 0.1, 1, 20]);
          return means.log.answer(attempt, call.getSync({ timeout }));
        } catch (error) {
          if (!isGivenUp(error)) throw error;
        }
      }
    },
  },
  cancelSync: {
    dawdles: true,
    knowsId: true,
    flags: ClientFlag.cancels,
    run(means, attempt) {
      using call = sendSync(means, attempt);
      lookAt(means, call);
      cancel(means, attempt, call);
    },
  },
  release: {
    dawdles: true,
    knowsId: true,
    flags: ClientFlag.cancels,
    run(means, attempt) {
      using call = sendSync(means, attempt);
      lookAt(means, call);
      call.release();
      means.log.end(attempt, Outcome.released);
    },
  },
  draftRequestSync: {
    run(means, attempt) {
      const draft = allocate(means, attempt);
      means.log.answer(attempt, draft.requestSync(optionsOf(attempt)));
    },
  },
  draftSend: {
    knowsId: true,
    flags: ClientFlag.smallInto,
    run(means, attempt) {
      using call = allocate(means, attempt).send(optionsOf(attempt));
      means.log.identify(attempt, call.id);
      means.log.answer(attempt, call.getSync({ into: intoOf(means) }));
    },
  },
  draftDiscard: {
    dawdles: true,
    run(means, attempt) {
      allocate(means, attempt).discard();
      means.log.end(attempt, Outcome.discarded);
    },
  },
  post: {
    flags: ClientFlag.posts,
    run(means, attempt) {
      const isSent = means.client.post(requestOf(means, attempt));
      means.log.end(attempt, isSent ? Outcome.posted : Outcome.busy);
    },
  },
  draftPost: {
    flags: ClientFlag.posts,
    run(means, attempt) {
      allocate(means, attempt).post();
      means.log.end(attempt, Outcome.posted);
    },
  },
};

async function send(means: Means, attempt: Attempt): Promise<Call> {
  const call = await means.client.send(requestOf(means, attempt), optionsOf(attempt));
  means.log.identify(attempt, call.id);
  return call;
}

/** Aborts after a moment. */
function abortSoon({ stage }: Means): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort(aborted);
  if (stage.random.chance(0.3)) queueMicrotask(abort);
  else setTimeout(abort, stage.random.between(0, 5));
  return controller.signal;
}

export const promiseForms: Readonly<Record<string, PromiseForm>> = {
  request: {
    async run(means, attempt) {
      const request = requestOf(means, attempt);
      means.log.answer(attempt, await means.client.request(request, optionsOf(attempt)));
    },
  },
  requestInto: {
    flags: ClientFlag.smallInto,
    async run(means, attempt) {
      // Its own buffer: other calls are open at the same time.
      const into = new Uint8Array(means.stage.random.chance(0.1) ? 60 : 20_000);
      const options = { ...optionsOf(attempt), into };
      const request = requestOf(means, attempt);
      means.log.answer(attempt, await means.client.request(request, options));
    },
  },
  requestAbort: {
    dawdles: true,
    flags: ClientFlag.aborts,
    async run(means, attempt) {
      const options = { ...optionsOf(attempt), signal: abortSoon(means) };
      const request = requestOf(means, attempt);
      means.log.answer(attempt, await means.client.request(request, options));
    },
  },
  sendGet: {
    knowsId: true,
    async run(means, attempt) {
      const call = await send(means, attempt);
      means.log.answer(attempt, await call.get());
    },
  },
  sendReady: {
    knowsId: true,
    async run(means, attempt) {
      using call = await send(means, attempt);
      await call.ready();
      means.log.answer(attempt, call.view()!);
    },
  },
  sendAbort: {
    dawdles: true,
    knowsId: true,
    flags: ClientFlag.aborts,
    async run(means, attempt) {
      const signal = abortSoon(means);
      const request = requestOf(means, attempt);
      // The abort ends the wait for a slot, and later only the wait for the answer.
      const call = await means.client.send(request, { ...optionsOf(attempt), signal });
      means.log.identify(attempt, call.id);
      const answer = await call.get({ signal }).catch((error) => {
        if (error !== aborted) throw error;
        return call.get();
      });
      means.log.answer(attempt, answer);
    },
  },
  cancelById: {
    dawdles: true,
    knowsId: true,
    flags: ClientFlag.cancels,
    async run(means, attempt) {
      const call = await send(means, attempt);
      const answer = call.get();
      answer.catch(() => {});
      await sleep(means.stage.random.between(0, 3));
      // A handle that was closed meanwhile ends `answer`, too.
      if (!attempt.session.isClosing) means.client.cancel(call.id);
      means.log.answer(attempt, await answer);
    },
  },
  releaseLate: {
    dawdles: true,
    knowsId: true,
    flags: ClientFlag.cancels,
    async run(means, attempt) {
      const call = await send(means, attempt);
      await sleep(means.stage.random.between(0, 3));
      call.release();
      means.log.end(attempt, Outcome.released);
    },
  },
  impatientGet: {
    dawdles: true,
    knowsId: true,
    timesItself: true,
    async run(means, attempt) {
      const call = await send(means, attempt);
      for (;;) {
        try {
          const timeout = means.stage.random.pick([0.1, 1, 20, 300]);
          return means.log.answer(attempt, await call.get({ timeout }));
        } catch (error) {
          if (!isGivenUp(error)) throw error;
        }
      }
    },
  },
  tryGetLater: {
    dawdles: true,
    knowsId: true,
    async run(means, attempt) {
      const call = await send(means, attempt);
      for (let answer = call.tryGet();; answer = call.tryGet()) {
        if (answer) return means.log.answer(attempt, answer);
        await sleep(means.stage.random.between(0, 10));
      }
    },
  },
  postBetween: {
    flags: ClientFlag.posts,
    // deno-lint-ignore require-await -- a promise as of the others
    async run(means, attempt) {
      blockingForms.post!.run(means, attempt);
    },
  },
  draftRequest: {
    async run(means, attempt) {
      using draft = allocate(means, attempt);
      if (means.stage.random.chance(0.5)) await sleep(0);
      means.log.answer(attempt, await draft.request(optionsOf(attempt)));
    },
  },
};

/** The forms for a request that is too short to name its call. */
export function lengthMin({ knowsId }: Traits): number {
  return knowsId ? 0 : requestHeadBytes;
}
