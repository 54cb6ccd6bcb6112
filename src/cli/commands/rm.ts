/**
 * `tandem rm`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { Server, TandemError } from "@tandem/ipc";
import type { Context } from "../context.ts";
import { targetParameter } from "./parameters.ts";

export const rm: Command<Context> = buildCommand<Record<never, never>, [string], Context>({
  docs: {
    brief: "Remove a channel",
    fullDescription:
      "Removes the channel's file. Calls in flight end with CANCELLED, and processes " +
      "that have it open get NOT_FOUND for further calls.",
  },
  parameters: { positional: { kind: "tuple", parameters: [targetParameter] } },
  func(_, target) {
    if (Server.unlink(target)) return;
    throw new TandemError(
      "NOT_FOUND",
      `Cannot remove channel ${
        JSON.stringify(target)
      }: there is none; \`tandem ls\` lists channels`,
    );
  },
});
