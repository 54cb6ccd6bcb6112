/**
 * The channel of a pool, and who may supervise it.
 *
 * @module
 */
import { codeOf } from "../../base/guard.ts";
import type { ChannelOptions } from "../../base/channel_options.ts";
import { ClientCore } from "../../channel/client_core.ts";
import { ServerCore } from "../../channel/server_core.ts";
import { TandemError } from "../../errors.ts";
import { isNatsTarget } from "../../nats/target.ts";
import { claim } from "../link/guard.ts";
import type { PoolTerms } from "./terms.ts";

/** The target of the interface that a supervisor serves for attached pools. */
export function controlTarget(target: string): string {
  return target.includes("/") ? target.replace(/(\.tandem)?$/, ".pool$1") : `${target}.pool`;
}

/** Opens the channel of a pool for its supervisor. */
export function openPoolChannel(terms: PoolTerms): ClientCore {
  const { target } = terms;
  const sizes = sizesOf(terms);
  // Callers on other machines come through the front.
  if (target === undefined || isNatsTarget(target)) return openAnonymous(terms.name, sizes);
  if (!terms.handOver) checkUnclaimed(target);
  const client = ClientCore.open(target, sizes);
  try {
    if (!claim(client) && !terms.handOver) throw claimed(target, supervisorOf(target));
  } catch (error) {
    client.close();
    throw error;
  }
  return client;
}

function sizesOf(terms: PoolTerms): ChannelOptions {
  const { max, concurrency, maxQueue, maxDeliveries, maxRequestBytes, maxResponseBytes } = terms;
  return {
    slots: maxQueue + max * concurrency,
    maxDeliveries,
    ...(maxRequestBytes !== undefined && { maxRequestBytes }),
    ...(maxResponseBytes !== undefined && { maxResponseBytes }),
  };
}

function openAnonymous(name: string, sizes: ChannelOptions): ClientCore {
  const server = ServerCore.anonymous({ ...sizes, name: name.slice(0, 64) });
  try {
    return ClientCore.fromFd(server.fd);
  } finally {
    server.close();
  }
}

/** The process that supervises a target; undefined: there is none, or it cannot be found. */
export function supervisorOf(target: string): number | undefined {
  try {
    const client = ClientCore.open(controlTarget(target));
    try {
      return client.members().find(({ role }) => role === "server")?.pid;
    } finally {
      client.close();
    }
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Before the channel is opened, whose sizes may differ. */
function checkUnclaimed(target: string): void {
  const pid = supervisorOf(target);
  if (pid !== undefined) throw claimed(target, pid);
}

function claimed(target: string, pid: number | undefined): TandemError {
  const who = pid === undefined ? "another process" : `process ${pid}`;
  return new TandemError(
    "EXISTS",
    `Cannot start a pool on ${
      JSON.stringify(target)
    }: ${who} supervises it already; end that one, ` +
      "take its place with handOver: true, call it with Pool.attach(), or give another target",
  );
}
