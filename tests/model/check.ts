/**
 * Runs a property for a while, and prints how to repeat a failure.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `TANDEM_PROPERTY_SECONDS` | how long each property is tried; default 3 |
 * | `TANDEM_PROPERTY_SEED` | as a failure printed it; without a path, the failure is found and shrunk again |
 * | `TANDEM_PROPERTY_PATH`, `TANDEM_PROPERTY_REPLAY` | as printed with it: the shrunk failure |
 *
 * @module
 */
import fc from "fast-check";
import process from "node:process";

const { env } = process;
const seconds = Number(env["TANDEM_PROPERTY_SECONDS"] ?? 3);
const givenSeed = env["TANDEM_PROPERTY_SEED"];
const path = env["TANDEM_PROPERTY_PATH"];

/** The time for shrinking a failure, in seconds. */
const shrinkSeconds = 90;

/** The start in a list of commands, as a failure printed it. */
export const replayPath: string | undefined = env["TANDEM_PROPERTY_REPLAY"];

/** The time-out of a test of one property, including the shrinking of a failure. */
export const patience: number = (2 * shrinkSeconds + seconds) * 1000;

/** Tries a property with random values until the time is over. Throws the shrunk failure. */
export async function check<T extends [unknown, ...unknown[]]>(
  property: fc.IAsyncProperty<T>,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  let seed = Number(givenSeed ?? Math.floor(Math.random() * 2 ** 31));
  do {
    // In small batches, because fast-check's limit cannot tell a hanging run from a late one.
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
  // A path into a list of commands needs the record of the commands that ran.
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
