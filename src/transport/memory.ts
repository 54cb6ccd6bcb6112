/**
 * A transport within one thread, for unit tests of code that serves or takes a remote. It needs no native
 * code and no permission.
 *
 * Messages are encoded and copied, as on the way to another process, so values, errors, limits and
 * deadlines behave the same.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { TandemError } from "../errors.ts";
import { keepAlive } from "../runtime/timers.ts";
import { MemoryReceiver, MemoryRequester } from "./memory_ends.ts";
import { MemoryHub } from "./memory_hub.ts";
import { checkSizes } from "./memory_sizes.ts";
import { MemoryTopic } from "./memory_topic.ts";
import type { Receiver, Requester, TopicEnd, TopicTransport, Transport } from "./transport.ts";

const hubs: Map<string, MemoryHub> = new Map();
/** For each target that is not served yet, the functions that wake the connections waiting for it. */
const waiting: Map<string, Set<() => void>> = new Map();

/** The names are the names of channels. */
const namePattern = /^memory:[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** @throws {TypeError} for an invalid name */
function checkName(target: string): void {
  if (namePattern.test(target)) return;
  throw new TypeError(
    `Cannot use ${JSON.stringify(target)} as a target: a name begins with a letter or digit and ` +
      "has up to 64 letters, digits, dots, underscores and hyphens",
  );
}

function serve(target: string, options: ChannelOptions): Receiver {
  checkName(target);
  const hub = hubFor(target, options);
  const receiver = new MemoryReceiver(hub, () => forget(hub));
  for (const wake of waiting.get(target) ?? []) wake();
  return receiver;
}

function hubFor(target: string, options: ChannelOptions): MemoryHub {
  const found = hubs.get(target);
  if (found) {
    checkSizes(target, found.sizes, options);
    return found;
  }
  // A target ends with its last end.
  const hub = new MemoryHub(target, options, () => void forget(hub));
  hubs.set(target, hub);
  return hub;
}

function forget(hub: MemoryHub): boolean {
  return hubs.get(hub.target) === hub && hubs.delete(hub.target);
}

function open(target: string): Requester {
  checkName(target);
  const hub = hubs.get(target);
  if (hub) return new MemoryRequester(hub);
  throw new TandemError(
    "NOT_FOUND",
    `Cannot open ${JSON.stringify(target)}: nothing in this thread serves it; call serve() first`,
  );
}

async function connect(target: string, signal: AbortSignal): Promise<Requester> {
  checkName(target);
  // The target may be gone again by the time this goes on.
  while (!hubs.has(target)) await served(target, signal);
  return open(target);
}

/** Resolves when something serves the target. */
async function served(target: string, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const release = keepAlive();
  const stopListening = onAbort(signal, () => reject(reasonOf(signal)));
  const wakes = waiting.get(target) ?? new Set();
  waiting.set(target, wakes.add(resolve));
  try {
    await promise;
  } finally {
    wakes.delete(resolve);
    if (wakes.size === 0) waiting.delete(target);
    stopListening();
    release();
  }
}

function openTopic(target: string): TopicEnd {
  checkName(target);
  return new MemoryTopic(target);
}

export const memory: Transport & TopicTransport = { serve, open, connect, openTopic };
