/**
 * `tandem node`
 *
 * @module
 */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { logForms, logLevels } from "../log_lines.ts";
import {
  type FollowFlags,
  type GroupFlags,
  type HostFlags,
  type ListFlags,
  type MonitorFlags,
  type PortFlags,
  type RegistryFlags,
  restartRules,
  type RunFlags,
} from "../node/flags.ts";
import { parseCount, parseDuration } from "./parameters.ts";

const group = {
  kind: "parsed",
  parse: String,
  default: "default",
  placeholder: "group",
  brief: "Group of the nodes",
} as const;

const trace = {
  kind: "boolean",
  optional: true,
  withNegated: false,
  brief: "Write each message of this command's node to standard error",
} as const;

const guestFlags = { group, trace } as const;

const portFlags = {
  ...guestFlags,
  family: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "family",
    brief: "In place of PORT: a port that is registered in this family, a random one",
  },
  key: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "key",
    brief: "With --family: the entry with this key, whose value may be the id of a port",
  },
} as const;

const json = {
  kind: "boolean",
  optional: true,
  withNegated: false,
  brief: "Write JSON, one object a line",
} as const;

const logFlags = {
  log: { kind: "enum", values: logForms, default: "text", brief: "Form of a line" },
  logLevel: {
    kind: "enum",
    values: logLevels,
    optional: true,
    brief: "Leave out what is less important",
  },
} as const;

function duration<Default extends string>(byDefault: Default, brief: string) {
  return {
    kind: "parsed",
    parse: parseDuration,
    default: byDefault,
    placeholder: "duration",
    brief,
  } as const;
}

function words(brief: string, placeholder: string) {
  return { kind: "array", parameter: { brief, placeholder, parse: String } } as const;
}

const ls: Command<Context> = buildCommand<ListFlags, [], Context>({
  docs: {
    brief: "List the nodes of a group",
    fullDescription:
      "Asks each node of the group who it is. Of one that is stopped or busy only the id is known. Ids of " +
      "nodes are ports, too: they can be called (info, time, nodes) and monitored.",
  },
  parameters: {
    flags: {
      ...guestFlags,
      json,
      timeout: duration("1s", "How long to wait for nodes that are busy or stopped"),
    },
    positional: { kind: "tuple", parameters: [] },
  },
  loader: async () => (await import("../node/list.ts")).listNodes,
});

const send: Command<Context> = buildCommand<PortFlags, string[], Context>({
  docs: {
    brief: "Send a message to a port",
    customUsage: [
      "PORT TAG [JSON…] [OPTION…]",
      "--family FAMILY [--key KEY] TAG [JSON…] [OPTION…]",
    ],
    fullDescription:
      "Each JSON is one value behind the tag; - is standard input. Ends when the port has the message, and exits 1 if " +
      "there is no such port. What follows -- is no option, such as a negative number.",
  },
  parameters: {
    flags: {
      ...portFlags,
      timeout: duration("5s", "How long to wait for the port, and until it has room for more"),
    },
    positional: words("Id of the port, then the tag and the values as JSON", "port"),
  },
  loader: async () => (await import("../node/messages.ts")).sendMessage,
});

const call: Command<Context> = buildCommand<PortFlags, string[], Context>({
  docs: {
    brief: "Call a method of a port",
    customUsage: [
      "PORT METHOD [JSON…] [OPTION…]",
      "--family FAMILY [--key KEY] METHOD [JSON…] [OPTION…]",
    ],
    fullDescription:
      "Each JSON is one argument; - is standard input. The result is written as JSON, and bytes as they are. What " +
      "follows -- is no option, such as a negative number.",
  },
  parameters: {
    flags: {
      ...portFlags,
      timeout: duration("30s", "How long to wait for the port and the answer; or infinity"),
    },
    positional: words("Id of the port, then the method and the arguments as JSON", "port"),
  },
  loader: async () => (await import("../node/messages.ts")).callMethod,
});

const monitor: Command<Context> = buildCommand<MonitorFlags, string[], Context>({
  docs: {
    brief: "Wait until a port or a node has ended, and say why",
    customUsage: ["PORT [OPTION…]", "--family FAMILY [--key KEY] [OPTION…]"],
    fullDescription: "Ends at once, with no_such_port, if there is no such port.",
  },
  parameters: {
    flags: {
      ...portFlags,
      json,
      timeout: duration("infinity", "How long to wait; then it exits 1"),
    },
    positional: words("Id of the port, or of a node", "port"),
  },
  loader: async () => (await import("../node/monitor.ts")).monitorPort,
});

const registry: Command<Context> = buildCommand<RegistryFlags, [string], Context>({
  docs: {
    brief: "List a family of the registry",
    fullDescription:
      "With --watch, it writes the entries and then each change: + for what is new, ~ for what has changed, - for what " +
      "is gone. TERM and INT end it.",
  },
  parameters: {
    flags: {
      ...guestFlags,
      json,
      watch: { kind: "boolean", optional: true, withNegated: false, brief: "Go on with changes" },
    },
    positional: {
      kind: "tuple",
      parameters: [{ brief: "Family of the registry", placeholder: "family", parse: String }],
    },
  },
  loader: async () => (await import("../node/registry.ts")).showFamily,
});

const logs: Command<Context> = buildCommand<FollowFlags, [], Context>({
  docs: {
    brief: "Follow the output of all services that `tandem node run` runs in a group",
    fullDescription: "Writes their last lines, and then each line that comes. TERM and INT end it.",
  },
  parameters: {
    flags: {
      ...guestFlags,
      ...logFlags,
      lines: {
        kind: "parsed",
        parse: parseCount,
        default: "10",
        placeholder: "n",
        brief: "So many of the last lines of each run; at most 1000",
      },
    },
    positional: { kind: "tuple", parameters: [] },
  },
  loader: async () => (await import("../node/logs.ts")).followLogs,
});

const traceCommand: Command<Context> = buildCommand<GroupFlags, string[], Context>({
  docs: {
    brief: "Show the messages of services that `tandem node run` runs",
    customUsage: ["[SERVICE…] [--group GROUP]"],
    fullDescription:
      "Writes each message that the nodes of these services send and get, from now on, and those of services that " +
      "start later. TERM and INT end it.",
  },
  parameters: {
    flags: { group },
    positional: words("Names of services, or ids of their nodes; default: all", "service"),
  },
  loader: async () => (await import("../node/trace.ts")).traceServices,
});

const run: Command<Context> = buildCommand<RunFlags, string[], Context>({
  docs: {
    brief: "Run modules as nodes, and start them again when they fail",
    customUsage: ["--service MODULE [--name NAME] … [OPTION…] [-- ARGUMENT…]"],
    fullDescription:
      "Starts a process with a node for each --service, and calls the default export of its module with the node and " +
      "the ARGUMENTs. What that returns is disposed when the service stops. A service that fails is started again, as " +
      "another node, after a pause of 0.1 to 30 seconds.\n\n" +
      "TERM and INT end the services in good order, and the second one at once. Standard error has a line for each " +
      "line of their output, with the name of the service; one that begins with <3>, <4>, <6> or <7> has that level.",
  },
  parameters: {
    flags: {
      service: {
        kind: "parsed",
        parse: String,
        variadic: true,
        placeholder: "module",
        brief: "Module whose default export gets the node; may be repeated",
      },
      name: {
        kind: "parsed",
        parse: String,
        optional: true,
        variadic: true,
        placeholder: "name",
        brief: "Name of the node, for each --service in its turn; default: that of the file",
      },
      group,
      restart: {
        kind: "enum",
        values: restartRules,
        default: "on-failure",
        brief: "When a service that has ended starts again",
      },
      stopTimeout: duration("10s", "How long services may take to stop; then they are killed"),
      ...logFlags,
      trace: {
        ...trace,
        brief: "Write each message of the services' nodes, with the level debug",
      },
    },
    positional: words("Arguments of the services", "argument"),
  },
  loader: async () => (await import("../node/run.ts")).runServices,
});

/** The process of one service, which `run` starts. */
const host: Command<Context> = buildCommand<HostFlags, [string, ...string[]], Context>({
  docs: { brief: "Be the process of one service of `tandem node run`" },
  parameters: {
    flags: {
      group,
      trace,
      name: { kind: "parsed", parse: String, placeholder: "name", brief: "Name of the node" },
      runner: { kind: "parsed", parse: String, placeholder: "port", brief: "Port of the runner" },
    },
    positional: {
      ...words("Address of the module, then its arguments", "module"),
      minimum: 1,
    },
  },
  loader: async () => (await import("../node/host.ts")).hostService,
});

export const node: RouteMap<Context> = buildRouteMap({
  routes: { ls, send, call, monitor, registry, run, logs, trace: traceCommand, host },
  docs: {
    brief: "Send messages to nodes, look at them, and run them",
    hideRoute: { host: true },
  },
});
