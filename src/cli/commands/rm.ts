/**
 * `tandem rm`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { Server, TandemError } from "@tandem/ipc";
import { hasChannel } from "../channels.ts";
import type { Context } from "../context.ts";
import { CommandFailure, ExitCode } from "../exit_codes.ts";
import { limitPath, observeLimit } from "../limits.ts";
import { targetParameter } from "./parameters.ts";

interface Flags {
  readonly force?: boolean;
}

export const rm: Command<Context> = buildCommand<Flags, [string], Context>({
  docs: {
    brief: "Remove a channel or a limit",
    fullDescription:
      "Removes the file of a channel or of a limit. Calls in flight end with CANCELLED, and processes " +
      "that have the channel open get NOT_FOUND for further calls. A limit that is held, or that others wait for, " +
      "stays, unless --force says otherwise.",
  },
  parameters: {
    flags: {
      force: {
        kind: "boolean",
        optional: true,
        withNegated: false,
        brief: "Remove a limit that is held: its holders lose their locks, and go on",
      },
    },
    positional: { kind: "tuple", parameters: [targetParameter] },
  },
  func({ force }, target) {
    const path = limitPath(target);
    if (path !== null && path !== target && hasChannel(target)) {
      throw new TypeError(
        `Cannot remove ${
          JSON.stringify(target)
        }: a channel and a limit have that name; give the path, ` +
          `such as ${path}`,
      );
    }
    if (path !== null && !force) checkUnused(target, path);
    if (Server.unlink(path ?? target)) return;
    throw new TandemError(
      "NOT_FOUND",
      `Cannot remove channel ${
        JSON.stringify(target)
      }: there is none; \`tandem ls\` lists channels`,
    );
  },
});

function checkUnused(target: string, path: string): void {
  let users: number;
  try {
    const { holders, waiters } = observeLimit(target, path);
    users = holders.length + waiters.length;
  } catch (error) {
    // Nobody can use what is damaged.
    if (error instanceof TandemError && error.code === "CORRUPT") return;
    throw error;
  }
  if (users === 0) return;
  throw new CommandFailure(
    `Cannot remove limit ${
      JSON.stringify(target)
    }: ${users} hold it or wait for it; \`tandem stat\` shows them, ` +
      "and --force removes it all the same",
    ExitCode.refused,
  );
}
