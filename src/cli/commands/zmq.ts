/**
 * `tandem zmq` and `tandem zmq call`
 *
 * @module
 */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import type { CallFlags, DoorFlags } from "../zmq/flags.ts";
import { optionalText, parseCount, parseDuration } from "./parameters.ts";

const serve: Command<Context> = buildCommand<DoorFlags, [], Context>({
  docs: {
    brief: "Let clients of ZeroMQ call a channel, a service or a pool",
    customUsage: ["--target TARGET [--frontend ENDPOINT] [OPTION…]"],
    fullDescription:
      "Listens on --frontend for REQ and DEALER sockets and passes their requests to TARGET, which may come and go. A " +
      "call that fails is answered with the frames TANDEM-ERROR, code and message. TERM and INT let calls in flight " +
      "end, for five seconds at most, and exit 0.\n\n" +
      "Durations are seconds, or have a unit: 500ms, 5s, 2m. Needs libzmq (apt-get install libzmq5).",
  },
  parameters: {
    flags: {
      target: {
        kind: "parsed",
        parse: String,
        placeholder: "target",
        brief: "Name of the channel, or a path with a slash",
      },
      frontend: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "endpoint",
        brief: "Where to listen: tcp://HOST:PORT or ipc://PATH; default: tcp://127.0.0.1:6660",
      },
      errors: {
        kind: "enum",
        values: ["frame", "silent"],
        optional: true,
        brief: "What a client gets when its call fails: an error, or nothing",
      },
      idFrame: {
        kind: "boolean",
        optional: true,
        withNegated: false,
        brief: "The first frame of a request is its id: asking again runs nothing twice",
      },
      remember: {
        kind: "parsed",
        parse: parseDuration,
        optional: true,
        placeholder: "duration",
        brief: "How long answers are kept for clients that ask again; default: 60s",
      },
      maxMessageBytes: {
        kind: "parsed",
        parse: parseCount,
        optional: true,
        placeholder: "bytes",
        brief: "Longest request; default: 1 MiB",
      },
      highWaterMark: {
        kind: "parsed",
        parse: parseCount,
        optional: true,
        placeholder: "n",
        brief: "Messages that wait on the way from or to one client; default: 1000",
      },
      method: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "method",
        brief: "Method that requests call, where a service has several",
      },
      timeout: {
        kind: "parsed",
        parse: parseDuration,
        optional: true,
        placeholder: "duration",
        brief: "Limit for a call; default: none",
      },
      secretKeyFile: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "file",
        brief: "File with the secret key (Z85): connections are encrypted with CURVE",
      },
      allow: {
        kind: "parsed",
        parse: String,
        optional: true,
        variadic: true,
        placeholder: "key",
        brief: "Public key (Z85) of a client that may connect; default: all that know the door's",
      },
      backend: {
        kind: "parsed",
        parse: String,
        optional: true,
        hidden: true,
        placeholder: "endpoint",
        brief: "Not supported: workers are processes of a pool",
      },
    },
    positional: { kind: "tuple", parameters: [] },
  },
  // The other commands need no door.
  loader: async () => (await import("../zmq/command.ts")).runDoor,
});

const call: Command<Context> = buildCommand<CallFlags, [string | undefined], Context>({
  docs: {
    brief: "Send a request to a server of ZeroMQ, and ask again if there is no answer",
    customUsage: ["[-t SECONDS] [-r ATTEMPTS] [-e ENDPOINT] [-i IDENTITY] [PAYLOAD|-]"],
    fullDescription:
      "Writes the answer as it is. Without PAYLOAD, or with -, standard input is the payload, without one newline at " +
      "its end. Exits 1 if there is no answer after all attempts, or if the answer is an error.",
  },
  parameters: {
    flags: {
      timeout: {
        kind: "parsed",
        parse: parseDuration,
        default: "10",
        placeholder: "seconds",
        brief: "How long each attempt waits for the answer",
      },
      attempts: {
        kind: "parsed",
        parse: parseCount,
        default: "2",
        placeholder: "n",
        brief: "How often to ask, the first time included",
      },
      endpoint: {
        kind: "parsed",
        parse: String,
        default: "tcp://127.0.0.1:6660",
        placeholder: "endpoint",
        brief: "Where the server listens",
      },
      identity: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "identity",
        brief: "Identity of this client; no other one may have it at the same time",
      },
      idFrame: {
        kind: "boolean",
        optional: true,
        withNegated: false,
        brief: "For a door with --id-frame: however often it is asked, the request runs once",
      },
      serverKey: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "key",
        brief: "Public key (Z85) of a server with CURVE",
      },
      secretKeyFile: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "file",
        brief: "File with the secret key (Z85) of this client",
      },
    },
    aliases: { t: "timeout", r: "attempts", e: "endpoint", i: "identity" },
    positional: {
      kind: "tuple",
      parameters: [optionalText("payload", "What to send, or - for standard input")],
    },
  },
  loader: async () => (await import("../zmq/command.ts")).callServer,
});

export const zmq: RouteMap<Context> = buildRouteMap({
  routes: { serve, call },
  defaultCommand: "serve",
  docs: { brief: "Let clients of ZeroMQ call a channel, or be one" },
});
