/**
 * Runs a property for a while, and says how to run it again where it fails.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `TANDEM_PROPERTY_SECONDS` | how long each property is tried; default 3 |
 * | `TANDEM_PROPERTY_SEED` | as a failure printed it; alone, it is found and made small anew |
 * | `TANDEM_PROPERTY_PATH`, `TANDEM_PROPERTY_REPLAY` | as printed with it: what it was made small to |
 *
 * @module
 */
import fc from "fast-check";
import process from "node:process";

const { env } = process;
const seconds = Number(env["TANDEM_PROPERTY_SECONDS"] ?? 3);
const givenSeed = env["TANDEM_PROPERTY_SEED"];
const path = env["TANDEM_PROPERTY_PATH"];

/** How long a failure is made smaller, in seconds. */
const shrinkSeconds = 90;

/** Where in a list of commands to begin, as a failure printed it. */
export const replayPath: string | undefined = env["TANDEM_PROPERTY_REPLAY"];

/** How long a test may take that tries one property: a failure has to be made small, too. */
export const patience: number = (2 * shrinkSeconds + seconds) * 1000;

/** Tries a property with random values until the time is over. Throws what failed, made small. */
export async function check<T extends [unknown, ...unknown[]]>(
  property: fc.IAsyncProperty<T>,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  let seed = Number(givenSeed ?? Math.floor(Math.random() * 2 ** 31));
  do {
    // In small lots. The limit of the library would take a run that hangs for one that was late.
    const details = await fc.check(property, {
      seed,
      numRuns: 50,
      interruptAfterTimeLimit: shrinkSeconds * 1000,
      markInterruptAsFailure: true,
      ...(path !== undefined && { path }),
    });
    if (details.failed) throw failureOf(details);
    seed += 1;
  } while (givenSeed === undefined && performance.now() < end);
}

function failureOf<T>(details: fc.RunDetails<T>): Error {
  const { seed, counterexamplePath } = details;
  const report = String(fc.defaultReportMessage(details));
  // A path into a list of commands is of use only together with which of them were run.
  const replayPath = /replayPath="([^"]+)"/.exec(report)?.[1];
  const again = [
    `TANDEM_PROPERTY_SEED=${seed}`,
    ...(counterexamplePath === null ? [] : [`TANDEM_PROPERTY_PATH="${counterexamplePath}"`]),
    ...(replayPath === undefined ? [] : [`TANDEM_PROPERTY_REPLAY="${replayPath}"`]),
  ];
  return new Error(`seed ${seed}; again with ${again.join(" ")}\n${report}`, {
    cause: details.errorInstance,
  });
}
