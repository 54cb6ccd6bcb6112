/**
 * Checks arguments before a method gets them.
 *
 * @module
 */
import { isThenable } from "../base/guard.ts";
import { TandemError } from "../errors.ts";
import { isRaw, markRaw } from "./interface.ts";

/**
 * The schema interface that zod, valibot, arktype and others implement: see standardschema.dev. This type
 * has only the parts that the package uses.
 *
 * @typeParam Input the type of the caller's value
 * @typeParam Output the type of the checked value
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The part that the schemas of all libraries share. */
  readonly "~standard": {
    /** The version of the specification. */
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** Checks a value, perhaps asynchronously. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    /** For type inference only: never set. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** A problem that a schema found in a value. */
export interface StandardIssue {
  /** The problem in words. */
  readonly message: string;
  /** The keys that lead to the problem, from the outermost inwards. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The result of a check: the checked value, or the problems. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/**
 * The parameters of a method whose arguments a schema checks. The last ones are optional if they may be
 * undefined: not every library has a schema for a tuple with optional items.
 *
 * @typeParam Input the type of the tuple that the schema takes
 */
export type ValidatedParameters<Input extends readonly unknown[]> = Input extends
  readonly [...infer First, infer Last] ? MayBeMissing<Last> extends true
    // An item that is optional already is no item of its own here.
    ? [...ValidatedParameters<First>, Last?]
  : Input
  : Input;

/** Whether an argument of this type need not be given: unknown and any may be, but need not. */
export type MayBeMissing<T> = unknown extends T ? false : undefined extends T ? true : false;

/** The lists that a schema takes. */
export type SchemaInput<Schema> = Schema extends // deno-lint-ignore no-explicit-any -- whatever it makes of them
StandardSchema<infer Input extends readonly unknown[], any> ? Input
  : never;

/** The lists that a schema makes of what it takes. */
export type SchemaOutput<Schema> = Schema extends // deno-lint-ignore no-explicit-any -- whatever it takes
StandardSchema<any, infer Output extends readonly unknown[]> ? Output
  : never;

/**
 * Wraps a method with a schema that checks the list of its arguments, a tuple, before each call. If the
 * schema refuses the arguments, the call fails with `INVALID_ARGUMENTS`, and the error's `issues` list the
 * problems. The method gets the schema's output, for example with defaults filled in or texts trimmed.
 *
 * Optional and rest items of the tuple are optional and rest parameters. So are the last items that may be
 * undefined, such as `v.optional(…)` in a tuple of valibot.
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
 * @param schema for the list of arguments
 * @param method gets the schema's output as its arguments
 * @returns the method to offer
 */
export function validated<
  // deno-lint-ignore no-explicit-any -- a schema of any list
  Schema extends StandardSchema<any, any>,
  Result,
>(
  schema: Schema,
  // The schema alone decides: a method may have fewer parameters, or name an optional one.
  method: (...args: SchemaOutput<Schema>) => Result,
): (...args: ValidatedParameters<SchemaInput<Schema>>) => Result {
  const { validate } = schema["~standard"];
  function checked(this: unknown, ...args: ValidatedParameters<SchemaInput<Schema>>): Result {
    const found = validate(args);
    const call = (result: StandardResult<SchemaOutput<Schema>>): Result => {
      if (result.issues) throw refusal(result.issues);
      return Reflect.apply(method, this, [...result.value]);
    };
    // An asynchronous schema makes the method asynchronous, as every remote method is.
    return isThenable(found)
      ? Promise.resolve(found).then((result) =>
        call(result as StandardResult<SchemaOutput<Schema>>)
      ) as Result
      : call(found);
  }
  if (isRaw(method)) markRaw(checked);
  return checked;
}

function refusal(issues: readonly StandardIssue[]): TandemError {
  const found = issues.map(({ message, path = [] }) => ({
    message,
    path: path.map((step) => typeof step === "object" ? step.key : step)
      .map((key) => typeof key === "symbol" ? String(key) : key),
  }));
  const text = found.map(({ message, path }) => `arguments${pathText(path)}: ${message}`).join(
    "; ",
  );
  const error = new TandemError(
    "INVALID_ARGUMENTS",
    `Cannot call a method: its schema refuses the arguments: ${text}`,
  );
  return Object.assign(error, { issues: found });
}

function pathText(path: readonly (string | number)[]): string {
  return path.map((step) => typeof step === "number" ? `[${step}]` : `.${step}`).join("");
}
