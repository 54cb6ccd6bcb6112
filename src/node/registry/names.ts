/**
 * The names of the registry: families, and keys in them.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";

const familyForm = /^[A-Za-z][A-Za-z0-9_:]*$/;

export function isFamily(family: unknown): family is string {
  return typeof family === "string" && familyForm.test(family);
}

export function isKey(key: unknown): key is string {
  return typeof key === "string" && key !== "";
}

/** @throws {TypeError} */
export function checkFamily(family: unknown): asserts family is string {
  if (isFamily(family)) return;
  throw new TypeError(
    `Cannot use ${
      describe(family)
    } as a family of the registry: give a letter, and then any of the characters A-Z a-z 0-9 _ :`,
  );
}

/** @throws {TypeError} */
export function checkKey(key: unknown): asserts key is string {
  if (isKey(key)) return;
  throw new TypeError(
    `Cannot use ${describe(key)} as a key of the registry: give a string that is not empty`,
  );
}
