/**
 * `tandem stat`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { hasChannel, observe, type Observed } from "../channels.ts";
import type { Context } from "../context.ts";
import { limitPath, type ObservedLimit, observeLimit } from "../limits.ts";
import { limitMetricsOf, metricsOf } from "../metrics.ts";
import { tableOf } from "../table.ts";
import { timeText } from "../times.ts";
import { oneLine, plain } from "../values.ts";
import { targetParameter } from "./parameters.ts";

interface Flags {
  readonly json?: boolean;
  readonly prometheus?: boolean;
}

export const stat: Command<Context> = buildCommand<Flags, [string], Context>({
  docs: {
    brief: "Show the numbers and the participants of a channel or of a limit",
    fullDescription:
      "Shows what the channel counts and which processes have it open. Counts start " +
      "when the channel is made. Of a limit, it shows who holds a place and who waits, in the order in which " +
      "they get one. If a channel and a limit have the name, it shows both.",
  },
  parameters: {
    flags: {
      json: { kind: "boolean", optional: true, brief: "Write a JSON object" },
      prometheus: {
        kind: "boolean",
        optional: true,
        brief: "Write metrics in the text format of Prometheus",
      },
    },
    positional: { kind: "tuple", parameters: [targetParameter] },
  },
  func({ json, prometheus }, target) {
    const path = limitPath(target);
    const parts: string[] = [];
    if (path === null || hasOtherChannel(target, path)) {
      const observed = observe(target);
      parts.push(
        json
          ? `${JSON.stringify(observed)}\n`
          : prometheus
          ? metricsOf(observed)
          : describe(observed),
      );
    }
    if (path !== null) {
      const limit = observeLimit(target, path);
      parts.push(
        json
          ? `${JSON.stringify(limit, plain)}\n`
          : prometheus
          ? limitMetricsOf(limit)
          : describeLimit(limit),
      );
    }
    this.process.stdout.write(parts.join(json || prometheus ? "" : "\n"));
  },
});

function hasOtherChannel(target: string, path: string): boolean {
  return target !== path && hasChannel(target);
}

function describeLimit({ holders, waiters, ...rest }: ObservedLimit): string {
  const counts = { holders: holders.length, waiters: waiters.length };
  const numbers = tableOf(["", ""], Object.entries({ ...rest, ...counts })).trimStart();
  const contenders = [...holders, ...waiters];
  if (contenders.length === 0) return numbers;
  const head = ["PLACE", "PID", "RUNTIME", "MODE", "SINCE", "TOKEN", "TITLE"];
  const rows = contenders.map(({ id, pid, runtime, mode, since, token, title }) => [
    id === 0 ? "waits" : String(id),
    pid,
    runtime,
    mode,
    timeText(new Date(since)),
    id === 0 ? "" : String(token),
    oneLine(title),
  ]);
  return `${numbers}\n${tableOf(head, rows)}`;
}

function describe({ participants, stats, ...sizes }: Observed): string {
  const numbers = tableOf(["", ""], [...Object.entries(sizes), ...Object.entries(stats)]);
  if (participants.length === 0) return numbers.trimStart();
  const rows = participants.map(({ role, pid, uid, runtime, calls }) => [
    role,
    pid,
    uid,
    runtime,
    calls,
  ]);
  return `${numbers.trimStart()}\n${tableOf(["ROLE", "PID", "UID", "RUNTIME", "CALLS"], rows)}`;
}
