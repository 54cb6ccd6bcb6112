/**
 * A server that goes on while others die. It reads commands from stdin, one JSON value a line, and
 * answers each with one.
 *
 * @module
 */
import { type ChannelOptions, Server, type ServerRequest } from "../../../mod.ts";
import { greet, onLine, tell, told } from "../../fixtures/lib.ts";

/** A command. */
export interface ServerCommand {
  /**
   * - `open`, `close`
   * - `serve`: takes requests from now on; `rest`: takes none
   * - `take`: blocks the thread until there is one request, and answers it
   * - `finish`: answers the requests that it holds
   * - `handled`: writes the requests that it got since the last `handled`
   * - `anonymous`: makes a channel without a name and closes it
   */
  readonly op: "open" | "close" | "serve" | "rest" | "take" | "finish" | "handled" | "anonymous";
  readonly target?: string;
  readonly options?: ChannelOptions;
}

/** A request that it got. */
export interface Handled {
  readonly id: string;
  readonly deliveries: number;
  readonly oneWay: boolean;
}

let server: Server | undefined;
let serving: AbortController | undefined;
let gate = Promise.withResolvers<void>();
let handled: Handled[] = [];

/** Echoes; a text that begins with "hold" only after `finish`. */
function handle(request: ServerRequest): Uint8Array | string | Promise<string> {
  const { id, deliveries, oneWay } = request;
  handled.push({ id: String(id), deliveries, oneWay });
  if (!request.isText) return request.bytes.slice();
  const text = request.text();
  return text.startsWith("hold") ? gate.promise.then(() => text) : text;
}

function opened(): Server {
  if (!server) throw new Error("no channel is open");
  return server;
}

function obey({ op, target = "", options = {} }: ServerCommand): unknown {
  switch (op) {
    case "open":
      server = Server.open(target, options);
      return {};
    case "close":
      serving?.abort();
      serving = undefined;
      opened().close();
      server = undefined;
      return {};
    case "serve":
      if (serving) return {};
      serving = new AbortController();
      opened().serve(handle, { signal: serving.signal }).catch((error) => {
        // The channel was unlinked: a command will name another one.
        if (error.code !== "NOT_FOUND") tell(told(error));
      });
      return {};
    case "rest":
      serving?.abort();
      serving = undefined;
      return {};
    case "take": {
      const request = opened().receiveSync({ timeout: 60_000 });
      if (!request) throw new Error("there was no request to take");
      request.reply(handle(request) as Uint8Array | string);
      return {};
    }
    case "finish":
      gate.resolve();
      gate = Promise.withResolvers();
      return {};
    case "handled": {
      const before = handled;
      handled = [];
      return before;
    }
    case "anonymous":
      Server.anonymous().close();
      return {};
  }
}

greet();
onLine((line) => {
  try {
    tell(obey(JSON.parse(line)));
  } catch (error) {
    tell({ error: told(error) });
  }
});
