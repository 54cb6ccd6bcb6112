/**
 * Finds the transport of a target.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import type { Client } from "../channel/client.ts";
import { ChannelHandle } from "../channel/handle.ts";
import type { Server } from "../channel/server.ts";
import { handleName, handleTransport } from "./handles.ts";
import { memory } from "./memory.ts";
import { sharedMemory } from "./shared_memory.ts";
import type { TopicTransport, Transport } from "./transport.ts";

/** All other targets are names or paths; paths may contain colons. */
const scheme = /^(memory|nats):/;

/** A target that can be served: a name, a path, `memory:NAME`, or a handle on a channel. */
export type ServeTarget = string | Server;

/** A target that can be called. */
export type ConnectTarget = string | Client;

/** A target as text, for messages. */
export function targetName(target: ServeTarget | ConnectTarget): string {
  return typeof target === "string" ? target : handleName(target);
}

/**
 * The transport that reaches a target.
 *
 * @param tried the operation, for the message of an error
 * @throws {TypeError} when the target is neither a string nor a handle
 * @throws {TandemError} `UNSUPPORTED` for a transport that this version of the package does not have;
 * `MISMATCH` for a handle of integers
 */
export function transportOf(
  target: ServeTarget | ConnectTarget,
  tried: "serve" | "connect to",
): Transport {
  if (target instanceof ChannelHandle) return handleTransport(target, tried);
  if (typeof target !== "string") {
    const handle = tried === "serve" ? "a Server" : "a Client";
    throw new TypeError(`Cannot ${tried} ${describe(target)}: give a name, a path or ${handle}`);
  }
  return namedTransport(target, tried);
}

/** As {@linkcode transportOf}, for topics. */
export function topicTransportOf(target: string): TopicTransport {
  const tried = "open the topic";
  if (typeof target === "string") return namedTransport(target, tried);
  throw new TypeError(`Cannot ${tried} ${describe(target)}: give a name or a path`);
}

function namedTransport(target: string, tried: string): Transport & TopicTransport {
  const [, name] = scheme.exec(target) ?? [];
  if (name === undefined) return sharedMemory;
  if (name === "memory") return memory;
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot ${tried} ${JSON.stringify(target)}: this version of the package has no transport ` +
      `${name}:; give a name, a path (with ./ before it if it begins with ${name}:) or memory:NAME`,
  );
}
