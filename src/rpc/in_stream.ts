/**
 * A stream that another process sends.
 *
 * @module
 */
import { codeOf } from "../channel/guard.ts";
import type { Peer } from "./peer.ts";
import { Step } from "./out_stream.ts";

/** How long an item may take, and what ends the stream. */
export interface StreamTerms {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What must not be collected as long as the stream is known. */
  readonly owner?: object;
}

type Result = IteratorResult<unknown, unknown>;

interface Place {
  readonly peer: Peer;
  readonly id: number;
  readonly terms: StreamTerms | undefined;
}

/** Streams that nobody knows any more are ended over there. */
const forgotten = new FinalizationRegistry<Place>(({ peer, id }) => {
  peer.drop(id);
  peer.detach();
});

/**
 * A generator of another process: each step is taken there when it is asked for here, so that nothing
 * is made before it is wanted.
 */
export class InStream implements AsyncGenerator<unknown, unknown, unknown> {
  #place: Place | null = null;
  #hasEnded = false;
  /** Told when nothing more will come. */
  onEnd: (() => void) | null = null;

  /** Says where it is, before anybody else knows the stream. */
  attach(peer: Peer, id: number, terms: StreamTerms | undefined): void {
    const place = { peer, id, terms };
    this.#place = place;
    forgotten.register(this, place, this);
  }

  next(...value: [] | [unknown]): Promise<Result> {
    return this.#step(Step.next, value.length > 0, value[0]);
  }

  return(value?: unknown): Promise<Result> {
    return this.#step(Step.return, true, value);
  }

  throw(error: unknown): Promise<Result> {
    return this.#step(Step.throw, true, error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** As a ReadableStream, which asks for an item whenever its reader does. */
  toReadable(): ReadableStream<unknown> {
    return new ReadableStream<unknown>({
      pull: async (controller) => {
        const { done, value } = await this.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => {
        await this.return();
      },
    }, { highWaterMark: 0 });
  }

  async #step(step: number, hasValue: boolean, value: unknown): Promise<Result> {
    const place = this.#place;
    if (this.#hasEnded || !place) {
      if (step === Step.throw) throw value;
      return { done: true, value: step === Step.return ? await value : undefined };
    }
    const { peer, id, terms } = place;
    // Another step may end the stream while this one is under way.
    const release = peer.hold();
    try {
      // A generator awaits what it is given to return.
      const given = step === Step.return ? await value : value;
      const result = await peer.step(id, step, hasValue, given, terms);
      if (result.done) this.#end();
      return result;
    } catch (error) {
      // What was not serialisable has not left; the stream goes on.
      if (codeOf(error) === "NOT_SERIALIZABLE" && hasValue) {
        throw error;
      }
      // Nobody knows how far the other side has come.
      if (!this.#hasEnded) peer.drop(id);
      this.#end();
      throw error;
    } finally {
      release();
    }
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    forgotten.unregister(this);
    this.#place?.peer.detach();
    this.onEnd?.();
    this.onEnd = null;
  }
}
