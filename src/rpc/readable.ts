/**
 * Streams of other processes as ReadableStreams.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import { InStream } from "./in_stream.ts";

type Items = Pick<AsyncGenerator<unknown, unknown, unknown>, "next" | "return">;

/** The streams behind ReadableStreams. */
const streams: WeakMap<ReadableStream<unknown>, InStream> = new WeakMap();

/** A ReadableStream that asks for an item only when its reader does. */
export function readableOf(items: Items): ReadableStream<unknown> {
  const readable = new ReadableStream<unknown>({
    pull: async (controller) => {
      const { done, value } = await items.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => cancel(items, reason),
  }, { highWaterMark: 0 });
  if (items instanceof InStream) streams.set(readable, items);
  return readable;
}

/** The source gets the reason, unless that cannot be sent. */
async function cancel(items: Items, reason: unknown): Promise<void> {
  try {
    await items.return(reason);
  } catch (error) {
    if (codeOf(error) !== "NOT_SERIALIZABLE" || reason === undefined) throw error;
    await items.return(undefined);
  }
}

/** The stream that a result is; null: it is none. */
export function streamIn(result: unknown): InStream | null {
  // Most results are neither.
  if (typeof result !== "object" || result === null) return null;
  if (result instanceof InStream) return result;
  return result instanceof ReadableStream ? streams.get(result) ?? null : null;
}
