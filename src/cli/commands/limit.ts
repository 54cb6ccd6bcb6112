/**
 * `tandem limit`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import type { Context } from "../context.ts";
import type { LimitFlags } from "../limit/flags.ts";
import { parseCount, parseDuration } from "./parameters.ts";

export const limit: Command<Context> = buildCommand<LimitFlags, string[], Context>({
  docs: {
    brief: "Run a command, but only so many at once",
    customUsage: [
      "NAME [--max N] [--wait | --no-wait | --timeout S] [--standby M] [--close] [--skip-ok] -- COMMAND [ARGUMENT…]",
    ],
    fullDescription:
      "Takes a place of the limit NAME and becomes COMMAND: it is the same process, with the same terminal, signals " +
      "and exit status. The place is free when COMMAND and the children that it has left behind have ended, whatever " +
      "ends them. TANDEM_LIMIT_ID and TANDEM_LIMIT_TOKEN are in its environment.\n\n" +
      "Without --wait, --timeout or --standby it does not wait. If there is no place, it writes a line that says who " +
      "has it, and exits 75. It exits 127 if there is no COMMAND, and 126 if the system does not execute it.\n\n" +
      "`tandem stat NAME` shows who holds the limit and who waits. Durations are seconds, or have a unit: 500ms, " +
      "5s, 2m.",
  },
  parameters: {
    flags: {
      max: {
        kind: "parsed",
        parse: parseCount,
        default: "1",
        placeholder: "n",
        brief: "How many may run at once",
      },
      standby: {
        kind: "parsed",
        parse: parseCount,
        optional: true,
        placeholder: "m",
        brief: "Wait, unless so many wait already",
      },
      wait: { kind: "boolean", optional: true, brief: "Wait for a place, as long as it takes" },
      timeout: {
        kind: "parsed",
        parse: parseDuration,
        optional: true,
        placeholder: "duration",
        brief: "Wait for a place, but no longer",
      },
      order: {
        kind: "enum",
        values: ["oldest", "newest"],
        optional: true,
        brief: "Who gets the next place; newest: and older ones that wait give up",
      },
      shared: {
        kind: "boolean",
        optional: true,
        withNegated: false,
        brief: "Take one place together with all others that share",
      },
      close: {
        kind: "boolean",
        optional: true,
        withNegated: false,
        brief: "The place is free when the command has ended, also if children of it live on",
      },
      skipOk: {
        kind: "boolean",
        optional: true,
        withNegated: false,
        brief: "If there is no place, exit 0 and write nothing",
      },
    },
    positional: {
      kind: "array",
      parameter: {
        brief: "Name of the limit, and the command",
        placeholder: "name",
        parse: String,
      },
    },
  },
  // The other commands need no limit.
  loader: async () => (await import("../limit/command.ts")).runLimited,
});
