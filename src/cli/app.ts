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
import { ls } from "./commands/ls.ts";
import { rm } from "./commands/rm.ts";
import { stat } from "./commands/stat.ts";
import type { Context } from "./context.ts";
import { ExitCode, exitCodeOf } from "./exit_codes.ts";
import { version } from "./version.ts";

const app: Application<Context> = buildApplication(
  buildRouteMap<string, Context>({
    routes: { ls, stat, call, rm },
    docs: { brief: "Looks at channels between processes, and calls their services" },
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

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? `${error.message} (${code})` : error.message;
}

/** Runs a command. @returns its exit code */
export async function run(args: readonly string[], context: Context): Promise<number> {
  await runApplication(app, args, context);
  const { exitCode = ExitCode.failed } = context.process;
  // The library has numbers of its own below zero.
  return exitCode < 0 ? ExitCode.usage : exitCode;
}
