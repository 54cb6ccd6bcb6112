/**
 * Parameters that several commands have.
 *
 * @module
 */

/** A positional parameter that stays as it is. */
interface TextParameter {
  readonly brief: string;
  readonly placeholder: string;
  readonly parse: (text: string) => string;
}

/** The target of a channel. */
export const targetParameter: TextParameter = {
  brief: "Name of the channel, or a path with a slash",
  placeholder: "target",
  parse: String,
};

/** A text that may be left out. */
export function optionalText(
  placeholder: string,
  brief: string,
): TextParameter & { readonly optional: true } {
  return { brief, placeholder, parse: String, optional: true };
}

/** Reads seconds with an optional unit, as `timeout(1)` does, as milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h)?$/.exec(text);
  if (text === "infinity") return Infinity;
  if (!match) {
    throw new RangeError(
      `Cannot use ${
        JSON.stringify(text)
      } as a duration: give seconds, or a number with ms, s, m or h`,
    );
  }
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  return Number(match[1]) * units[(match[2] ?? "s") as keyof typeof units];
}

/** Reads a whole number from 0. */
export function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new RangeError(
    `Cannot use ${JSON.stringify(text)} as a number: give a whole number from 0`,
  );
}
