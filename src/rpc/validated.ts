/**
 * Arguments that are checked before a method sees them.
 *
 * @module
 */
import { isThenable } from "../base/guard.ts";
import { TandemError } from "../errors.ts";
import { isRaw, markRaw } from "./interface.ts";

/**
 * What zod, valibot, arktype and others implement: see standardschema.dev. Only what is needed of it
 * is written down here.
 *
 * @typeParam Input what callers give
 * @typeParam Output what the method gets
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The part of a schema that all libraries have in common. */
  readonly "~standard": {
    /** Of the specification. */
    readonly version: 1;
    /** Name of the library. */
    readonly vendor: string;
    /** Checks a value, which may take a while. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    /** For type inference; never there. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** What is wrong with a value, and where. */
export interface StandardIssue {
  /** For people. */
  readonly message: string;
  /** From the outermost key inwards. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a schema says of a value. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/**
 * A method whose arguments are checked by a schema of their list, a tuple, before it is called. A call
 * whose arguments are refused fails with `INVALID_ARGUMENTS`; the error's `issues` say what is wrong.
 * The method gets what the schema makes of the arguments: defaults filled in, texts trimmed.
 *
 * @example
 * ```ts
 * import { connect, serve, TandemError, validated } from "@tandem/ipc";
 * import { assertEquals, assertRejects } from "@std/assert";
 * import * as z from "zod";
 *
 * const api = {
 *   thumbnail: validated(
 *     z.tuple([z.string(), z.number().int().positive()]),
 *     (name, width) => `${name} at ${width}`,
 *   ),
 * };
 *
 * await using service = serve("checked", api);
 * using remote = connect<typeof api>("checked", { timeout: 1_000 });
 * assertEquals(await remote.thumbnail("cat", 128), "cat at 128");
 * const error = await assertRejects(() => remote.thumbnail("cat", -1), TandemError);
 * assertEquals(error.code, "INVALID_ARGUMENTS");
 * service.unlink();
 * ```
 *
 * @param schema of the list of arguments
 * @param method called with what the schema makes of them
 * @returns the method that is to be offered
 */
export function validated<
  Input extends readonly unknown[],
  Output extends readonly unknown[],
  Result,
>(
  schema: StandardSchema<Input, Output>,
  method: (...args: Output) => Result,
): (...args: Input) => Result {
  const { validate } = schema["~standard"];
  function checked(this: unknown, ...args: Input): Result {
    const found = validate(args);
    const call = (result: StandardResult<Output>): Result => {
      if (result.issues) throw refusal(result.issues);
      return Reflect.apply(method, this, [...result.value]);
    };
    // A schema that takes its time makes the method asynchronous, which every remote method is.
    return isThenable(found)
      ? Promise.resolve(found).then((result) => call(result as StandardResult<Output>)) as Result
      : call(found);
  }
  if (isRaw(method)) markRaw(checked);
  return checked;
}

function refusal(issues: readonly StandardIssue[]): TandemError {
  const plain = issues.map(({ message, path = [] }) => ({
    message,
    path: path.map((step) => typeof step === "object" ? step.key : step)
      .map((key) => typeof key === "symbol" ? String(key) : key),
  }));
  const told = plain.map(({ message, path }) => `arguments${pathText(path)}: ${message}`).join(
    "; ",
  );
  const error = new TandemError(
    "INVALID_ARGUMENTS",
    `Cannot call a method: its schema refuses the arguments: ${told}`,
  );
  return Object.assign(error, { issues: plain });
}

function pathText(path: readonly (string | number)[]): string {
  return path.map((step) => typeof step === "number" ? `[${step}]` : `.${step}`).join("");
}
