/**
 * Finds the transport of a target.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import type { Client } from "../channel/client.ts";
import { ChannelHandle } from "../channel/handle.ts";
import type { Server } from "../channel/server.ts";
import { handleName, handleTransport } from "./handles.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import { NatsTransport } from "../nats/transport.ts";
import { withoutLogin } from "../nats/target.ts";
import { memory } from "./memory.ts";
import { sharedMemory } from "./shared_memory.ts";
import type { TopicTransport, Transport } from "./transport.ts";

/** All other targets are names or paths; paths may contain colons. */
const scheme = /^(memory|nats):/;

/** A target that can be served: a name, a path, `memory:NAME`, `nats://SERVERS/NAME`, or a handle on a channel. */
export type ServeTarget = string | Server;

/** A target that can be called. */
export type ConnectTarget = string | Client;

/** A target as text, for messages. */
export function targetName(target: ServeTarget | ConnectTarget): string {
  return typeof target === "string" ? withoutLogin(target) : handleName(target);
}

/**
 * The transport that reaches a target.
 *
 * @param tried the operation, for the message of an error
 * @param nats options for a target across machines
 * @throws {TypeError} when the target is neither a string nor a handle
 * @throws {TandemError} `MISMATCH` for a handle of integers
 */
export function transportOf(
  target: ServeTarget | ConnectTarget,
  tried: "serve" | "connect to",
  nats?: NatsOptions,
): Transport {
  if (target instanceof ChannelHandle) return handleTransport(target, tried);
  if (typeof target !== "string") {
    const handle = tried === "serve" ? "a Server" : "a Client";
    throw new TypeError(`Cannot ${tried} ${describe(target)}: give a name, a path or ${handle}`);
  }
  return namedTransport(target, nats);
}

/** As {@linkcode transportOf}, for topics. */
export function topicTransportOf(
  target: string,
  nats: NatsOptions | undefined,
): TopicTransport {
  if (typeof target === "string") return namedTransport(target, nats);
  throw new TypeError(`Cannot open the topic ${describe(target)}: give a name or a path`);
}

function namedTransport(
  target: string,
  nats: NatsOptions | undefined,
): Transport & TopicTransport {
  const [, name] = scheme.exec(target) ?? [];
  if (name === undefined) return sharedMemory;
  return name === "memory" ? memory : new NatsTransport(nats);
}
