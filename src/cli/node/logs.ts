/**
 * What `tandem node logs` does.
 *
 * @module
 */
import type { Node } from "@tandem/ipc/node";
import type { Context } from "../context.ts";
import { logLevels, textOf } from "../log_lines.ts";
import { EndingSignals } from "../signals.ts";
import type { FollowFlags } from "./flags.ts";
import { Follower } from "./follower.ts";
import { startGuest } from "./guest.ts";
import { isLogLine, type LogDeskPort, logFamily } from "./log_desk.ts";

/** Writes the lines of all services of a group, until a signal ends it. */
export async function followLogs(this: Context, flags: FollowFlags): Promise<void> {
  await using node = await startGuest(this, flags);
  const follower = logFollower(node, this, flags);
  await using watch = node.registry.watch(logFamily);
  using _signals = new EndingSignals(() => void watch.return());
  for await (const { entries, added } of watch) {
    for (const key of added) {
      const desk = entries.get(key)?.port;
      if (desk) follower.follow(desk);
    }
  }
}

/** Gets the lines of desks, and writes them. */
export function logFollower(
  node: Node,
  context: Context,
  { log, logLevel = "debug", lines }: FollowFlags,
): Follower {
  return new Follower(node, context, {
    tag: "line",
    async take(line) {
      if (!isLogLine(line)) return;
      const { time, level, source, message } = line;
      if (logLevels.indexOf(level) < logLevels.indexOf(logLevel)) return;
      await context.write(`${textOf(log, level, source, message, time)}\n`);
    },
    ask: (desk, own, isAgain) => node.send<LogDeskPort>(desk, "follow", own, isAgain ? 0 : lines),
  });
}
