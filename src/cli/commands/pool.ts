/**
 * `tandem pool`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import type { Context } from "../context.ts";
import { type Flags, flags } from "../pool/settings.ts";

export const pool: Command<Context> = buildCommand<Flags, string[], Context>({
  docs: {
    brief: "Run a pool of worker processes",
    customUsage: ["WORKER [--target NAME] [--min N] [--max N] [OPTION…] [-- ARGUMENT…]"],
    fullDescription:
      "Runs WORKER, a file that calls work(), in as many processes as the calls need, and replaces those " +
      "that end. The defaults are those of PoolOptions. What comes after -- are arguments of WORKER.\n\n" +
      "Signals: QUIT lets the calls end and stops; TERM and INT stop at once. HUP replaces the workers one by " +
      "one, so that they run the new WORKER, and keeps the old ones if it is broken. TTIN and TTOU raise and " +
      "lower --min by one.\n\n" +
      "Standard error has a line for each log record of the workers. Durations are seconds, or have a unit " +
      "(500ms, 5s, 2m), or are infinity. Sizes are bytes, or have a unit: 64K, 512M, 2G.",
  },
  parameters: {
    flags,
    positional: {
      kind: "array",
      parameter: {
        brief: "File of the workers, and their arguments",
        placeholder: "worker",
        parse: String,
      },
    },
  },
  // The other commands need no pool.
  loader: async () => (await import("../pool/command.ts")).runPool,
});
