/**
 * The types of messages, made of the interfaces of ports.
 *
 * @module
 */
import type { AnyFunction, SentArguments } from "../rpc/sendable.ts";
import type { RemoteMethods } from "../rpc/types.ts";

/** Whether nothing is known of an interface. */
export type IsUnknown<P> = unknown extends P ? true : false;

/** The tags that an interface has: the names of its methods. */
export type TagOf<P> = IsUnknown<P> extends true ? string
  : {
    [K in keyof P & string]: NonNullable<P[K]> extends AnyFunction ? K : never;
  }[keyof P & string];

/** The messages that an interface takes: a tag, and the arguments of its method. */
export type MessageOf<P> = IsUnknown<P> extends true
  // deno-lint-ignore no-explicit-any -- nothing is known
  ? any[]
  : {
    [K in keyof P & string]: NonNullable<P[K]> extends (...args: infer A) => unknown
      ? [tag: K, ...args: SentArguments<A>]
      : never;
  }[keyof P & string] extends infer M extends unknown[] ? M
  : never;

/** The messages of an interface as they arrive. */
export type ReceivedOf<P> = IsUnknown<P> extends true
  // deno-lint-ignore no-explicit-any -- nothing is known
  ? any[]
  : {
    [K in keyof P & string]: NonNullable<P[K]> extends (...args: infer A) => unknown
      ? [tag: K, ...args: A]
      : never;
  }[keyof P & string] extends infer M extends unknown[] ? M
  : never;

/** A handler for a tag. Tags that the interface does not have take any arguments. */
export type HandlerOf<P, K extends string> = IsUnknown<P> extends true ? AnyFunction
  : K extends keyof P
    ? NonNullable<P[K]> extends (...args: infer A) => infer R
      ? (...args: A) => R | Awaited<R> | Promise<Awaited<R>>
    : never
  : AnyFunction;

/** What `at` returns: the methods of the interface, each of which returns a promise. */
export type PortRemote<P> = IsUnknown<P> extends true
  // deno-lint-ignore no-explicit-any -- nothing is known
  ? any
  : RemoteMethods<P>;
