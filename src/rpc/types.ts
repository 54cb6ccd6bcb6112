/**
 * The types of remote interfaces.
 *
 * @module
 */
import type {
  AnyFunction,
  IsRemote,
  Refused,
  RefusedArguments,
  SentArguments,
  Unsendable,
} from "./sendable.ts";

/** A ReadableStream of another process. Each item is fetched when it is read. */
export type RemoteReadable<Y> = ReadableStream<Y> & AsyncIterable<Y>;

/** The call of a method that returns a ReadableStream: it can be read at once, iterated, or awaited. */
export type RemoteReadableCall<Y> =
  & RemoteReadable<Y>
  & AsyncIterableIterator<Y>
  & Promise<RemoteReadable<Y>>;

/** The type in which a stream or a function of `proxy` arrives; every other type is unchanged. */
export type RemoteStream<R> = R extends AsyncGenerator<infer Y, infer T, infer N>
  ? AsyncGenerator<Y, T, N>
  : R extends Generator<infer Y, infer T, infer N> ? AsyncGenerator<Y, T, N>
  : R extends ReadableStream<infer Y> ? RemoteReadable<Y>
  : R extends AsyncIterable<infer Y> ? AsyncIterableIterator<Y>
  : R extends AnyFunction ? Proxied<R>
  : R;

/**
 * The result of a remote method whose method returns `R`: a stream, which can be read or iterated at once,
 * or a promise. A ReadableStream is both: it can be read at once, and awaited.
 */
export type RemoteResult<R> = 0 extends 1 & R ? Promise<R>
  : [R] extends [never] ? Promise<R>
  : [Awaited<R>] extends [ReadableStream<infer Y>] ? RemoteReadableCall<Y>
  : [R] extends [Generator<unknown, unknown, never> | AsyncIterable<unknown>] ? RemoteStream<R>
  : Promise<RemoteStream<Awaited<R>>>;

/**
 * A remote method. A method keeps its own type, with its type parameters and overloads, if it returns a
 * promise of anything but a stream. Otherwise an overloaded method has its last signature, and `unknown`
 * takes the place of type parameters. An {@linkcode Unsendable} takes the place of a type that cannot be
 * sent.
 */
// deno-lint-ignore no-explicit-any -- a method of which nothing is known
export type RemoteMethod<M> = 0 extends 1 & M ? (...args: any[]) => Promise<any>
  : M extends (...args: infer A) => infer R
    ? [RefusedArguments<A>] extends [never]
      ? [Refused<Awaited<R>>] extends [never]
        ? IsRemote<M> extends true ? M : (...args: A) => RemoteResult<R>
      : (...args: A) => Unsendable<Refused<Awaited<R>>>
    : (...args: SentArguments<A>) => RemoteResult<R>
  : never;

/**
 * The type of a function of `proxy` on the other side: it returns a promise, or an async generator if the
 * function is a generator. A parameter of the type `(percent: number) => void` in fact gets this function.
 * Disposing it ends it; see {@linkcode proxy}.
 */
export type Proxied<F> = RemoteMethod<F> & Disposable;

/**
 * The methods of an interface, called from another process. It leaves out the members of
 * `Object.prototype`, and the names for which `await`, `JSON.stringify`, printers and matchers look:
 * `then`, `toJSON`, `inspect` and `asymmetricMatch`.
 */
export type RemoteMethods<Api> = {
  readonly [
    // Also what is optional: a remote has every method, and the other side knows which of them exist.
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
  ]-?: RemoteMethod<NonNullable<Api[K]>>;
};

/** A remote of which nothing is known. */
export interface AnyRemote {
  /** Any method. */
  // deno-lint-ignore no-explicit-any -- nothing is known
  readonly [method: string]: (...args: any[]) => Promise<any>;
  // deno-lint-ignore no-explicit-any -- as above
  (...args: any[]): Promise<any>;
}

/**
 * An interface in another process. Every method returns a promise; a sync or async generator returns an
 * async generator; a method with a ReadableStream returns one, which can also be awaited. Optional methods
 * are methods: calling one that the other side does not have rejects with `UNKNOWN_METHOD`. A bare function
 * is an interface of its own. Properties that are not functions are left out.
 *
 * Methods that return promises keep their type parameters and overloads. Of other overloaded methods the
 * last signature is left, and `unknown` takes the place of type parameters, because TypeScript cannot
 * change the result of a generic type: declare such a method as `<T>(value: T) => Promise<T>`.
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
  // Only any is an object that takes everything.
  & (unknown extends Api ? AnyRemote
    // deno-lint-ignore no-explicit-any -- as above
    : Api extends (...args: any[]) => any ? RemoteMethod<Api>
    : RemoteMethods<Api>)
  & Disposable
  & AsyncDisposable;
