/**
 * Several streams as one.
 *
 * @module
 */

/** What has come from a stream. */
type Arrived<T> =
  | { readonly stream: AsyncGenerator<T>; readonly step: IteratorResult<T> }
  | { readonly error: unknown };

/**
 * The items of all streams in the order of their arrival, one of each stream at a time. It ends with the first stream that
 * ends, and then ends the others.
 */
export async function* merged<T>(streams: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const arrived: Arrived<T>[] = [];
  let wake = () => {};
  const add = (one: Arrived<T>) => {
    arrived.push(one);
    wake();
  };
  const next = (stream: AsyncGenerator<T>) =>
    void stream.next().then((step) => add({ stream, step }), (error) => add({ error }));
  for (const stream of streams) next(stream);
  try {
    while (streams.length > 0) {
      const one = arrived.shift();
      if (one === undefined) {
        // A race of all streams would leave a reaction in each quiet one, for each item of the others.
        await new Promise<void>((resolve) => wake = resolve);
        continue;
      }
      if ("error" in one) throw one.error;
      if (one.step.done) return;
      next(one.stream);
      yield one.step.value;
    }
  } finally {
    for (const stream of streams) stream.return(undefined).catch(() => {});
  }
}
