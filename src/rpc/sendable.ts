/**
 * Which types can be sent. The types of remote interfaces are made of these; programs seldom name them.
 *
 * @module
 */

/** A function of any type. */
// deno-lint-ignore no-explicit-any -- as it says
export type AnyFunction = (...args: any[]) => any;

/** Whether the type of a method needs no change, whichever of its signatures is called. */
export type IsRemote<M> = unknown extends ThisParameterType<M> ? M extends {
    (...args: infer _A): infer P;
    (...args: infer _B): infer Q;
    (...args: infer _C): infer R;
    (...args: infer _D): infer S;
  }
    ? [IsPromise<P>, IsPromise<Q>, IsPromise<R>, IsPromise<S>] extends [true, true, true, true]
      ? true
    : false
  : false
  : false;

/** Whether it is a promise of anything but a stream or a function. */
export type IsPromise<R> = 0 extends 1 & R ? false
  : [R] extends [never] ? false
  : [R] extends [Promise<infer V>] ? [Promise<V>] extends [R] ? IsNoStream<V> : false
  : false;

/** Whether it is neither a stream nor a function. */
export type IsNoStream<V> = 0 extends 1 & V ? true
  : [Extract<V, Generator<unknown, unknown, never> | AsyncIterable<unknown> | AnyFunction>] extends
    [
      never,
    ] ? true
  : false;

/**
 * Takes the place of a type that can never be sent, so that a call with it does not compile. The text says
 * why.
 *
 * @typeParam Why the reason
 */
export interface Unsendable<Why extends string> {
  /** The reason. */
  readonly "@tandem/ipc": Why;
}

/** The reason why a type can never be sent, or never. When in doubt, the type passes. */
export type Refused<T, Path extends string = "", Depth extends 0[] = []> = 0 extends 1 & T ? never
  : [T] extends [never] ? never
  : [unknown] extends [T] ? never
  : [T] extends [string | number | boolean | bigint | null | undefined] ? never
  : [T] extends [symbol] ? At<Path, "a symbol cannot be sent">
  // deno-lint-ignore no-explicit-any -- a function of any type: proxy() may pass it
  : [T] extends [(...args: any[]) => any] ? never
  // deno-lint-ignore no-explicit-any -- of any values, also below
  : Is<T, Promise<any>> extends true ? At<Path, "a Promise cannot be sent: await it first">
  // deno-lint-ignore no-explicit-any -- as above
  : Is<T, WeakMap<any, any>> extends true ? At<Path, "a WeakMap cannot be sent: send a Map">
  // deno-lint-ignore no-explicit-any -- as above
  : Is<T, WeakSet<any>> extends true ? At<Path, "a WeakSet cannot be sent: send a Set">
  // deno-lint-ignore no-explicit-any -- as above
  : Is<T, WeakRef<any>> extends true ? At<Path, "a WeakRef cannot be sent">
  : Depth["length"] extends 4 ? never
  : [T] extends [readonly (infer Item)[]] ? Refused<Item, `${Path}[]`, [...Depth, 0]>
  : [T] extends [ReadonlyMap<infer Key, infer Value>]
    ? Refused<Key, `${Path}(key)`, [...Depth, 0]> | Refused<Value, `${Path}(value)`, [...Depth, 0]>
  : [T] extends [ReadonlySet<infer Item>] ? Refused<Item, `${Path}(item)`, [...Depth, 0]>
  : [MethodNames<T>] extends [never] ? RefusedProperties<T, Path, Depth>
  // A class: TypeScript does not tell getters, which are not sent, from properties, which are.
  : never;

/** The reason why a property can never be sent, or never. */
export type RefusedProperties<T, Path extends string, Depth extends 0[]> = {
  [K in keyof T & string]: Record<never, never> extends Pick<T, K> ? never
    : Refused<T[K], Path extends "" ? K : `${Path}.${K}`, [...Depth, 0]>;
}[keyof T & string];

/** The properties that are functions, in objects and in instances of classes. */
export type MethodNames<T> = {
  // deno-lint-ignore no-explicit-any -- a function of any type
  [K in keyof T]-?: NonNullable<T[K]> extends (...args: any[]) => any ? K : never;
}[keyof T];

/** A reason with the place of the value. */
export type At<Path extends string, Why extends string> = Path extends "" ? Why : `${Path}: ${Why}`;

/** Whether a type is that class, and no other with the same members: a Map has all that a WeakMap has. */
export type Is<T, Class> = [T] extends [Class] ? [Class] extends [T] ? true : false : false;

/** The reason why an argument can never be sent, or never. */
export type RefusedArguments<A extends readonly unknown[]> = {
  [I in keyof A]-?: Refused<A[I]>;
}[number];

/** Arguments, with an {@linkcode Unsendable} in the place of each that can never be sent. */
export type SentArguments<A extends readonly unknown[]> = {
  [I in keyof A]: [Refused<A[I]>] extends [never] ? A[I] : Unsendable<Refused<A[I]>>;
};
