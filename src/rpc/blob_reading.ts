/**
 * Reads the Blobs of encoded messages. All other values are encoded as they are at the call, and the rest
 * of the message waits for the Blobs, but no other message does.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { readBlob, type UnreadBlob } from "../codec/blobs.ts";
import type { EncodedValues } from "../codec/encoder.ts";
import { TandemError } from "../errors.ts";
import { laterForSure, now, timerMax } from "../runtime/timers.ts";
import type { Bytes } from "../transport/transport.ts";

/**
 * Begins at once to read the Blobs, and returns the values with their bytes.
 *
 * @throws the error with which a Blob cannot be read; {TandemError} `NOT_SERIALIZABLE` when a file has
 * another length than its Blob
 */
export async function readBlobs(values: EncodedValues): Promise<EncodedValues> {
  const { tree, objects, unread } = values;
  if (unread === null) return values;
  const blobs = [...values.blobs];
  await Promise.all(unread.map(async (one) => {
    const bytes = await bytesOf(one);
    if (one.index >= 0) blobs[one.index] = bytes;
    else tree.set(bytes, one.at);
  }));
  return { tree, blobs, objects, unread: null };
}

async function bytesOf({ blob, byteLength }: UnreadBlob): Promise<Bytes> {
  const bytes = new Uint8Array(await readBlob(blob));
  if (bytes.byteLength === byteLength) return bytes;
  throw new TandemError(
    "NOT_SERIALIZABLE",
    `Cannot send a Blob of ${byteLength} bytes: it has ${bytes.byteLength} bytes now; its file has ` +
      "changed, or has no length of its own: send the bytes that you read",
  );
}

/** The conditions that end a wait for Blobs. */
export interface ReadTerms {
  /** A time of `performance.now()`. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  /** Aborts when the wait is pointless; the wait then resolves. */
  readonly closing?: AbortSignal | undefined;
}

/**
 * Waits until `reading` has settled. The process stays alive meanwhile.
 *
 * @throws what `reading` rejects with; the signal's reason; {TandemError} `TIMEOUT`
 */
export async function whenRead(
  reading: Promise<void>,
  { deadline, signal, closing }: ReadTerms,
): Promise<void> {
  const over = Promise.withResolvers<void>();
  const left = Math.min(Math.max(0, deadline - now()), timerMax);
  const stopTimer = laterForSure(left, () => over.reject(notRead()));
  const stops: (() => void)[] = [];
  const listen = (to: AbortSignal, listener: () => void) => {
    if (to.aborted) listener();
    else stops.push(onAbort(to, listener));
  };
  if (signal) listen(signal, () => over.reject(reasonOf(signal)));
  if (closing) listen(closing, () => over.resolve());
  try {
    await Promise.race([reading, over.promise]);
  } finally {
    stopTimer();
    for (const stop of stops) stop();
  }
}

function notRead(): TandemError {
  return new TandemError(
    "TIMEOUT",
    "Cannot send a message in time: its Blobs could not be read before the deadline",
  );
}
