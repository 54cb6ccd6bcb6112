/**
 * Where in a value something is, as text.
 *
 * @module
 */

/** Of a long path the first and the last steps are told. */
const firstSteps = 4;
const lastSteps = 3;
/** Keys may be of any length; of a long one this many units are told. */
const keyUnitsMax = 60;

/** A key in an error message: short, whatever the key is. */
export function keyText(key: string): string {
  return key.length <= keyUnitsMax ? key : `${key.slice(0, keyUnitsMax)}…`;
}

/** `arguments[0].callback`, a few steps of it at most. */
export function pathText(path: readonly (string | number)[]): string {
  const isLong = path.length > firstSteps + lastSteps + 1;
  const begin = isLong ? path.slice(0, firstSteps) : path;
  const text = begin.map((step, index) => stepText(step, index === 0)).join("");
  if (!isLong) return text || "this value";
  const end = path.slice(-lastSteps).map((step) => stepText(step, false)).join("");
  return `${text} … ${end} (${path.length} steps)`;
}

function stepText(step: string | number, isFirst: boolean): string {
  if (typeof step === "number") return `[${step}]`;
  return isFirst || step.startsWith("(") ? keyText(step) : `.${keyText(step)}`;
}
