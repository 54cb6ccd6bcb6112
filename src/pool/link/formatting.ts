/**
 * Values as text for people.
 *
 * @module
 */

// The parts of Node in use, declared here so that the file type-checks under every compiler.
interface Util {
  format(...values: readonly unknown[]): string;
  inspect(value: unknown): string;
}

interface Global {
  readonly process: { getBuiltinModule(name: "node:util"): Util };
}

let util: Util | undefined;

/** Loaded when it is first needed. */
function loaded(): Util {
  const { process } = globalThis as unknown as Global;
  return util ??= process.getBuiltinModule("node:util");
}

/** The text that `console.log` of these values prints. */
export function formatted(values: readonly unknown[]): string {
  return loaded().format(...values);
}

/** A value as the console shows it, of at most `max` characters. Never throws. */
export function inspected(value: unknown, max: number): string {
  let text: string;
  try {
    text = typeof value === "string" ? value : loaded().inspect(value);
  } catch {
    text = "(a value that cannot be shown)";
  }
  return shortened(text, max);
}

/** The text, or its front and an ellipsis. */
export function shortened(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}…`;
}
