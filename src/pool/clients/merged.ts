/**
 * Several streams as one.
 *
 * @module
 */

/** The items of all streams as they come. It ends with the first stream that ends, and then ends the others. */
export async function* merged<T>(streams: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const next = async (stream: AsyncGenerator<T>) => ({ stream, step: await stream.next() });
  const pending = new Map(streams.map((stream) => [stream, next(stream)]));
  for (const one of pending.values()) one.catch(() => {});
  try {
    while (pending.size > 0) {
      const { stream, step } = await Promise.race(pending.values());
      if (step.done) return;
      const following = next(stream);
      following.catch(() => {});
      pending.set(stream, following);
      yield step.value;
    }
  } finally {
    for (const stream of streams) stream.return(undefined).catch(() => {});
  }
}
