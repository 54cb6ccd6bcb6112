/**
 * The results of a call of every worker of a pool on another machine.
 *
 * @module
 */
import { textOf } from "../../base/guard.ts";
import type { ErrorClasses } from "../../codec/error_classes.ts";
import { type ErrorCode, RemoteError, TandemError } from "../../errors.ts";

/** One worker's result, as it travels. */
export type WorkerResult =
  | readonly ["value", unknown]
  /** The method has thrown it. */
  | readonly ["thrown", unknown]
  /** Code, message and cause of an error of this package. */
  | readonly ["failed", ErrorCode, string, unknown];

/** A result, as callers of `everywhere` get it. */
export function settledResult(
  result: WorkerResult,
  classes: ErrorClasses,
): PromiseSettledResult<unknown> {
  switch (result[0]) {
    case "value":
      return { status: "fulfilled", value: result[1] };
    case "thrown":
      return { status: "rejected", reason: thrown(result[1], classes) };
    case "failed": {
      const [, code, message, cause] = result;
      return { status: "rejected", reason: new TandemError(code, message, { cause }) };
    }
  }
}

function thrown(value: unknown, classes: ErrorClasses): Error {
  if (!(value instanceof Error)) {
    return new RemoteError({ name: "Error", message: textOf(value), cause: value });
  }
  if (classes.isRegistered(classes.nameOf(value))) return value;
  const { name, message, cause } = value;
  const properties = { ...value };
  return new RemoteError({ name, message, stack: value.stack, properties, cause });
}
