/**
 * Functions by reference: see {@linkcode proxy}.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { LentFunction } from "./lent_function.ts";
import type { AnyFunction } from "./sendable.ts";

/** Options of {@linkcode proxy}. */
export interface ProxyOptions {
  /**
   * The function outlives the call that it is sent with. Default: it ends with the call, or with the stream
   * that is the call's result.
   */
  readonly keep?: boolean;
}

/**
 * Passes a function by reference: the other side gets a function, and when it calls it, `fn` runs here.
 *
 * Functions go wherever values go: in arguments and results, inside of other values, in the items of
 * streams, and in the arguments and results of such functions themselves. On the other side the function
 * always returns a promise, or an async generator if `fn` is a generator: its type there is
 * {@linkcode Proxied}. If `fn` throws, the promise rejects as that of a method does.
 *
 * - **Order and back-pressure.** Calls run in the order in which they are made. Awaiting each call lets `fn`
 *   set the pace. At most 512 calls to one process are in flight at once. Others wait in the process that
 *   makes them, so a caller that never awaits fills its own memory. A rejected call that nobody awaits is
 *   no unhandled rejection. A method's calls that it has not awaited run all the same: its answer waits
 *   until they are sent. A call with a `Blob` is sent when the Blob is read, so later calls may overtake it.
 * - **Lifetime.** A function in an argument ends with its call, or with the stream that is the call's result;
 *   one in an item, or in the value of a step, ends with its stream. One in a result, or with `keep`, lives
 *   until the other side disposes it (`fn[Symbol.dispose]()`) or its garbage collection finds it forgotten,
 *   until this side disposes it, or until either process dies or closes the connection or service that it
 *   was sent through. Then a call rejects with `CANCELLED`, `CLOSED` or `SERVER_DIED`. Two processes
 *   that keep functions of each other are not collected: dispose them.
 * - **Deadlines.** A call inside a method ends when the method's call ends: with its deadline, or when its
 *   caller gives up or dies.
 * - **Context.** `fn` runs in the asynchronous context of the call or answer that sent it. So `callContext()`
 *   in it is the call in which the sender ran, if any, and not the call of the other side.
 * - **Concurrency.** `fn` takes no place of `concurrency`. But a call that `fn` makes takes a place in the
 *   service that it calls. So a service that waits for a callback which calls that service again needs a
 *   free place: with `concurrency: 1`, such a call waits until its timeout.
 * - **Identity.** A function that comes back to its owner is the one that was sent. Twice in one message, it
 *   arrives as one. A received function may be passed on; calls of it then go through this process.
 *
 * @param fn is also what calls of the returned function run
 * @returns a function that messages may contain. Disposing it ends it on all other sides
 * @throws {TypeError} for anything but a function: wrap the methods of an object one by one
 *
 * @example Progress
 * ```ts
 * import { connect, proxy, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const api = {
 *   async render(pages: number, progress: (percent: number) => void): Promise<string> {
 *     for (let page = 1; page <= pages; page++) await progress(100 * page / pages);
 *     return "rendered";
 *   },
 * };
 * await using service = serve("proxy", api);
 * using remote = connect<typeof api>("proxy");
 *
 * const seen: number[] = [];
 * assertEquals(await remote.render(4, proxy((percent) => seen.push(percent))), "rendered");
 * assertEquals(seen, [25, 50, 75, 100]);
 * service.unlink();
 * ```
 *
 * @example Events until one side has enough
 * ```ts
 * import { connect, type Proxied, proxy, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const listeners = new Set<Proxied<(price: number) => void>>();
 * const api = {
 *   subscribe(listener: (price: number) => void): void {
 *     listeners.add(listener as Proxied<typeof listener>);
 *   },
 *   async publish(price: number): Promise<void> {
 *     for (const listener of listeners) {
 *       // It was disposed, or its process is gone.
 *       await listener(price).catch(() => listeners.delete(listener));
 *     }
 *   },
 * };
 * await using service = serve("proxy-events", api);
 * using remote = connect<typeof api>("proxy-events");
 *
 * const prices: number[] = [];
 * {
 *   using listener = proxy((price: number) => void prices.push(price), { keep: true });
 *   await remote.subscribe(listener);
 *   await remote.publish(1);
 *   await remote.publish(2);
 * }
 * await remote.publish(3);
 * assertEquals([prices, listeners.size], [[1, 2], 0]);
 * service.unlink();
 * ```
 */
export function proxy<F extends AnyFunction>(fn: F, options: ProxyOptions = {}): F & Disposable {
  checkFunction(fn);
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const { keep = false } = options;
  if (typeof keep !== "boolean") {
    throw new TypeError(`Cannot use ${describe(keep)} as keep: give true or false`);
  }
  const state = new LentFunction(keep);
  const lent = function (this: unknown, ...args: unknown[]): unknown {
    return Reflect.apply(fn, this, args);
  };
  Object.defineProperty(lent, Symbol.dispose, { value: () => state.dispose() });
  state.belongsTo(lent);
  return lent as unknown as F & Disposable;
}

function checkFunction(value: unknown): void {
  if (typeof value !== "function") {
    throw new TypeError(
      `Cannot pass ${
        describe(value)
      } by reference: only functions travel so; wrap the methods of an ` +
        "object one by one, { add: proxy((n) => counter.add(n)) }",
    );
  }
  if (isClass(value)) {
    throw new TypeError(
      `Cannot pass ${
        describe(value)
      } by reference: a class cannot be called; pass a function that ` +
        "makes its instances and returns what the other side needs",
    );
  }
}

function isClass(value: object): boolean {
  try {
    return /^class\b/.test(Function.prototype.toString.call(value));
  } catch {
    // A Proxy of a function has no text in some runtimes.
    return false;
  }
}
