/**
 * The types of remote interfaces.
 *
 * @module
 */

/** The type in which a stream arrives; every other type is unchanged. */
export type RemoteStream<R> = R extends AsyncGenerator<infer Y, infer T, infer N>
  ? AsyncGenerator<Y, T, N>
  : R extends Generator<infer Y, infer T, infer N> ? AsyncGenerator<Y, T, N>
  : R extends ReadableStream<infer Y> ? AsyncIterableIterator<Y>
  : R extends AsyncIterable<infer Y> ? AsyncIterableIterator<Y>
  : R;

/**
 * The result of a remote method whose method returns `R`: a stream, which can be iterated at once, or a
 * promise.
 */
export type RemoteResult<R> = 0 extends 1 & R ? Promise<R>
  : [R] extends [never] ? Promise<R>
  : [R] extends [
    Generator<unknown, unknown, never> | ReadableStream<unknown> | AsyncIterable<unknown>,
  ] ? RemoteStream<R>
  : Promise<RemoteStream<Awaited<R>>>;

/** A remote method. */
export type RemoteMethod<M> = M extends (...args: infer A) => infer R
  ? (...args: A) => RemoteResult<R>
  : never;

/**
 * The methods of an interface, called from another process. It leaves out the members of
 * `Object.prototype`, and the names for which `await`, `JSON.stringify`, printers and matchers look:
 * `then`, `toJSON`, `inspect` and `asymmetricMatch`.
 */
export type RemoteMethods<Api> = {
  readonly [
    K in keyof Api as K extends string ? K extends
        | keyof typeof Object.prototype
        | "constructor"
        | "then"
        | "toJSON"
        | "inspect"
        | "asymmetricMatch" ? never
        // deno-lint-ignore no-explicit-any -- a function of any type
      : NonNullable<Api[K]> extends (...args: any[]) => any ? K
      : never
      : never
  ]: RemoteMethod<NonNullable<Api[K]>>;
};

/**
 * An interface in another process. Every method returns a promise, or an async generator if the method is
 * a sync or async generator. An overloaded method has only its last signature. A bare function is an
 * interface of its own. Properties that are not functions are left out.
 *
 * A remote has no `close()`, because every name may be a method of the other side. `using`, `await using`
 * or `remote[Symbol.dispose]()` closes it. That ends its calls and streams with `CLOSED`; a rejected
 * promise that the program has dropped is not reported as unhandled.
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
  // deno-lint-ignore no-explicit-any -- as above
  & (Api extends (...args: any[]) => any ? RemoteMethod<Api> : RemoteMethods<Api>)
  & Disposable
  & AsyncDisposable;
