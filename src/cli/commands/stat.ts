/**
 * `tandem stat`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { observe, type Observed } from "../channels.ts";
import type { Context } from "../context.ts";
import { metricsOf } from "../metrics.ts";
import { tableOf } from "../table.ts";
import { targetParameter } from "./parameters.ts";

interface Flags {
  readonly json?: boolean;
  readonly prometheus?: boolean;
}

export const stat: Command<Context> = buildCommand<Flags, [string], Context>({
  docs: {
    brief: "Show the numbers and the participants of a channel",
    fullDescription:
      "Shows what the channel counts and which processes have it open. Counts start " +
      "when the channel is made.",
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
    const observed = observe(target);
    this.process.stdout.write(
      json
        ? `${JSON.stringify(observed)}\n`
        : prometheus
        ? metricsOf(observed)
        : describe(observed),
    );
  },
});

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
