/**
 * Writes the position of a part of a value, for error messages.
 *
 * @module
 */

/** A long path shows its first and its last steps. */
const firstSteps = 4;
const lastSteps = 3;
/** A long key shows this many units. */
const keyUnitsMax = 60;

function keyText(key: string): string {
  return key.length <= keyUnitsMax ? key : `${key.slice(0, keyUnitsMax)}…`;
}

/** For example `arguments[0].callback`. */
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
