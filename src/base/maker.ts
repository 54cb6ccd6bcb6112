/**
 * Public classes that only the package constructs. Their constructors are private, so that neither the
 * declarations nor editors show what they take.
 *
 * @module
 */

/**
 * The constructor of such a class as the package sees it: `const CallMaker = Call as unknown as
 * Maker<CallCore, Call>`.
 */
export type Maker<Core, Made> = new (core: Core) => Made;

/** For a constructor that a user has called: `instead` names what makes such objects. */
export function notConstructible(name: string, instead: string): TypeError {
  return new TypeError(`Cannot construct ${name}: use ${instead}`);
}
