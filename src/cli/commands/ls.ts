/**
 * `tandem ls`
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { TandemError } from "@tandem/ipc";
import { channelFolder, listChannels, type Listed } from "../channels.ts";
import type { Context } from "../context.ts";
import { tableOf } from "../table.ts";

interface Flags {
  readonly json?: boolean;
}

export const ls: Command<Context> = buildCommand<Flags, [], Context>({
  docs: {
    brief: "List the channels of this user",
    fullDescription:
      "Lists the channels in $TANDEM_DIR, else in /dev/shm/tandem-<user id>: who is " +
      "on them, and what they work on. A channel that cannot be opened is listed with the reason.",
  },
  parameters: {
    flags: {
      json: { kind: "boolean", optional: true, brief: "Write one JSON object for each channel" },
    },
  },
  func({ json }) {
    const { stdout, stderr } = this.process;
    const channels = listChannels();
    if (json) {
      for (const channel of channels) stdout.write(`${JSON.stringify(asObject(channel))}\n`);
    } else if (channels.length === 0) {
      stderr.write(`There are no channels in ${channelFolder()}.\n`);
    } else {
      stdout.write(tableOf(head, channels.map(asRow)));
    }
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

function asObject(listed: Listed): object {
  const { target } = listed;
  if ("error" in listed) {
    return { target, error: { code: codeOf(listed.error), message: listed.error.message } };
  }
  return listed.observed;
}

function codeOf(error: Error): string {
  return error instanceof TandemError ? error.code : error.name;
}
