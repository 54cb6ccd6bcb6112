/**
 * The commands of `tandem`.
 *
 * @module
 */
import {
  type Application,
  buildApplication,
  buildRouteMap,
  run as runApplication,
  text_en,
} from "@stricli/core";
import { call } from "./commands/call.ts";
import { limit } from "./commands/limit.ts";
import { ls } from "./commands/ls.ts";
import { node } from "./commands/node.ts";
import { pool } from "./commands/pool.ts";
import { rm } from "./commands/rm.ts";
import { stat } from "./commands/stat.ts";
import { zmq } from "./commands/zmq.ts";
import type { Context } from "./context.ts";
import { ExitCode, exitCodeOf } from "./exit_codes.ts";
import { messageOf } from "./messages.ts";
import { version } from "./version.ts";

const app: Application<Context> = buildApplication(
  buildRouteMap<string, Context>({
    routes: { ls, stat, call, rm, limit, pool, node, zmq },
    docs: {
      brief:
        "Looks at channels between processes, calls their services, limits how many commands run at once, " +
        "runs pools of workers, sends messages to nodes and runs them, and lets clients of ZeroMQ in",
    },
  }),
  {
    name: "tandem",
    versionInfo: { currentVersion: version },
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { disableAnsiColor: true },
    determineExitCode: exitCodeOf,
    localization: {
      text: {
        ...text_en,
        exceptionWhileRunningCommand: (error) => `tandem: ${messageOf(error)}`,
        exceptionWhileParsingArguments: (error) =>
          `tandem: ${messageOf(error)}; \`tandem --help\` shows what there is`,
      },
    },
  },
);

/** Runs a command. @returns its exit code */
export async function run(args: readonly string[], context: Context): Promise<number> {
  await runApplication(app, args, context);
  const { exitCode = ExitCode.failed } = context.process;
  // The library has numbers of its own below zero.
  return exitCode < 0 ? ExitCode.usage : exitCode;
}
