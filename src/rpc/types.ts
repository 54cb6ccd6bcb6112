/**
 * What a remote interface looks like from here.
 *
 * @module
 */

// deno-lint-ignore no-explicit-any -- of whatever types: they are taken apart below
type AnyMethod = (...args: any[]) => any;

/** Never methods: what every object has, and what would make a remote look like a promise. */
type NotOffered = keyof typeof Object.prototype | "constructor" | "then";

type IsAny<T> = 0 extends 1 & T ? true : false;

/** What arrives of a stream. */
type Streamed<R> = R extends AsyncGenerator<infer Y, infer T, infer N> ? AsyncGenerator<Y, T, N>
  : R extends Generator<infer Y, infer T, infer N> ? AsyncGenerator<Y, T, N>
  : R extends ReadableStream<infer Y> ? AsyncIterableIterator<Y>
  : R extends AsyncIterable<infer Y> ? AsyncIterableIterator<Y>
  : R;

type IsStream<R> = [R] extends [never] ? false
  : [R] extends [
    | AsyncGenerator<unknown, unknown, never>
    | Generator<unknown, unknown, never>
    | ReadableStream<unknown>
    | AsyncIterable<unknown>,
  ] ? true
  : false;

/**
 * What a remote method returns where the method itself returns `R`: streams can be iterated at once,
 * everything else is a promise.
 */
export type RemoteResult<R> = IsAny<R> extends true ? Promise<R>
  : IsStream<R> extends true ? Streamed<R>
  : Promise<Streamed<Awaited<R>>>;

/** A remote method. */
export type RemoteMethod<M> = M extends (...args: infer A) => infer R
  ? (...args: A) => RemoteResult<R>
  : never;

/** The methods of an interface, from far away. */
export type RemoteMethods<Api> = {
  readonly [
    K in keyof Api as K extends string
      ? K extends NotOffered ? never : NonNullable<Api[K]> extends AnyMethod ? K : never
      : never
  ]: RemoteMethod<NonNullable<Api[K]>>;
};

/**
 * An interface in another process. Every method returns a promise, or an async generator where the
 * method is a generator, sync or async; of overloads the last signature is kept. A bare function is
 * an interface of its own. Properties that are no functions are not there.
 *
 * @example The types of a service, seen from a client
 * ```ts
 * import type { Remote } from "@tandem/ipc";
 *
 * interface Thumbs {
 *   resize(image: Uint8Array, width: number): Uint8Array;
 *   tail(lines: number): AsyncGenerator<string>;
 * }
 *
 * async function use(thumbs: Remote<Thumbs>): Promise<number> {
 *   const small: Uint8Array = await thumbs.resize(new Uint8Array(3), 1);
 *   for await (const line of thumbs.tail(10)) console.log(line);
 *   return small.byteLength;
 * }
 * void use;
 * ```
 */
export type Remote<Api extends object> =
  & (Api extends AnyMethod ? RemoteMethod<Api> : RemoteMethods<Api>)
  & Disposable
  & AsyncDisposable;
