/**
 * What ends because the user closed the handle that it belongs to. That is no surprise: a
 * promise of it that was forgotten is no unhandled rejection, which would end the process. Code that awaits it
 * is told all the same.
 *
 * @module
 */

const endings: WeakSet<object> = new WeakSet();

const ignore = (): void => {};

/** Marks what pending promises reject with when their handle is closed. */
export function endedByClosing<E extends object>(error: E): E {
  endings.add(error);
  return error;
}

/** For {@linkcode mapResult}: the result as it is. */
export function same<T>(result: T): T {
  return result;
}

/** Rejects `promise` by its own `reject`. */
export function rejectAs(
  promise: Promise<unknown> | null,
  reject: (error: unknown) => void,
  error: unknown,
): void {
  if (promise && typeof error === "object" && error !== null && endings.has(error)) {
    promise.catch(ignore);
  }
  reject(error);
}

/** A promise for users: of what `map` makes of the result of `inner`, which is no promise. */
export function mapResult<T, R>(inner: Promise<T>, map: (result: T) => R): Promise<R> {
  const { promise, resolve, reject } = Promise.withResolvers<R>();
  inner.then((result) => {
    try {
      resolve(map(result));
    } catch (error) {
      reject(error);
    }
  }, (error) => rejectAs(promise, reject, error));
  return promise;
}
