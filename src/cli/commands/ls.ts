/**
 * `tandem ls`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { TandemError } from "@tandem/ipc";
import { listChannels, type Listed } from "../channels.ts";
import type { Context } from "../context.ts";
import { channelFolder } from "../folder.ts";
import { type ListedLimit, listLimits } from "../limits.ts";
import { tableOf } from "../table.ts";
import { plain } from "../values.ts";

interface Flags {
  readonly json?: boolean;
}

export const ls: Command<Context> = buildCommand<Flags, [], Context>({
  docs: {
    brief: "List the channels and limits of this user",
    fullDescription:
      "Lists the channels and limits in $TANDEM_DIR, else in /dev/shm/tandem-<user id>: who is " +
      "on them, and what they work on. One that cannot be opened is listed with the reason.",
  },
  parameters: {
    flags: {
      json: { kind: "boolean", optional: true, brief: "Write one JSON object for each of them" },
    },
  },
  func({ json }) {
    const { stdout, stderr } = this.process;
    const channels = listChannels();
    const limits = listLimits();
    if (json) {
      const objects = [...channels.map(asObject), ...limits.map(limitAsObject)];
      for (const object of objects) stdout.write(`${JSON.stringify(object, plain)}\n`);
      return;
    }
    const tables = [
      ...(channels.length > 0 ? [tableOf(head, channels.map(asRow))] : []),
      ...(limits.length > 0 ? [tableOf(limitHead, limits.map(limitAsRow))] : []),
    ];
    if (tables.length > 0) stdout.write(tables.join("\n"));
    else stderr.write(`There are no channels and no limits in ${channelFolder()}.\n`);
  },
});

const head = ["TARGET", "KIND", "SERVERS", "CLIENTS", "IN FLIGHT", "QUEUED", "REQUESTS", "MEMORY"];

function asRow(listed: Listed): (string | number)[] {
  if ("error" in listed) return [listed.target, codeOf(listed.error)];
  const { kind, stats } = listed.observed;
  return [
    listed.target,
    kind,
    stats.servers,
    stats.clients,
    stats.inFlight,
    stats.queued,
    stats.requests,
    `${Math.ceil(stats.committedBytes / 1024)} KiB`,
  ];
}

const limitHead = ["LIMIT", "MAX", "HELD", "WAITING", "ORDER"];

function limitAsRow(listed: ListedLimit): (string | number)[] {
  if ("error" in listed) return [listed.target, codeOf(listed.error)];
  const { max, order, holders, waiters } = listed.limit;
  return [listed.target, max, holders.length, waiters.length, order];
}

function limitAsObject(listed: ListedLimit): object {
  return "error" in listed ? { ...errorObject(listed), kind: "limit" } : listed.limit;
}

function asObject(listed: Listed): object {
  return "error" in listed ? errorObject(listed) : listed.observed;
}

function errorObject(
  { target, error }: { readonly target: string; readonly error: Error },
): object {
  return { target, error: { code: codeOf(error), message: error.message } };
}

function codeOf(error: Error): string {
  return error instanceof TandemError ? error.code : error.name;
}
