/**
 * Promises that reject because the user has closed their handle. The user expects that, so such a promise
 * that no code awaits is no unhandled rejection, which would end the process. Code that awaits it gets the
 * error all the same.
 *
 * @module
 */

const endings: WeakSet<object> = new WeakSet();

const ignore = (): void => {};

/** Marks the error with which pending promises reject when their handle closes. */
export function endedByClosing<E extends object>(error: E): E {
  endings.add(error);
  return error;
}

/** Whether a promise rejects with it because its handle was closed. */
export function isEnding(error: unknown): boolean {
  return typeof error === "object" && error !== null && endings.has(error);
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
  if (promise && isEnding(error)) promise.catch(ignore);
  reject(error);
}

/**
 * A promise for users of `map` of the result of `inner`. As with {@linkcode rejectAs}, it is no unhandled
 * rejection when the user closes the handle.
 */
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
