/**
 * Public classes that only the package constructs. Their constructors are private, so neither the
 * declarations nor editors show their parameters.
 *
 * @module
 */

/**
 * The constructor of such a class as the package sees it: `const CallMaker = Call as unknown as
 * Maker<CallCore, Call>`.
 */
export type Maker<Core, Made> = new (core: Core) => Made;

/** The error of a constructor that a user has called; `instead` names the methods to use. */
export function notConstructible(name: string, instead: string): TypeError {
  return new TypeError(`Cannot construct ${name}: use ${instead}`);
}
