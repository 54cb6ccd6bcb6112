/**
 * The open services of a target.
 *
 * @module
 */
import { checkTimeout } from "../base/checks.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import type { Peer } from "../base/peer.ts";
import { corrupt } from "../codec/reader.ts";
import { now } from "../runtime/timers.ts";
import type { AnswerReader, Message, ReceiverInfo } from "../transport/transport.ts";
import type { SelfDescription } from "./addressed_calls.ts";
import { Connection } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { addresseeOf, InstanceLines } from "./instance_lines.ts";
import type { Line, Lines } from "./lines.ts";
import { Kind, type Reading, readMessage, withMessage } from "./message.ts";
import { PrivatePaths } from "./private_paths.ts";
import { readRefusal } from "./replies.ts";
import { stateOf } from "./remote.ts";
import { parseConnectOptions } from "./terms.ts";

/** An open service of a target. */
export interface ServiceInfo extends Peer {
  /** The version of its interface; undefined if it has none, or does not respond. */
  readonly version: string | undefined;
  /**
   * The calls that it works on. Streams do not count once they have begun. Of a service that does not
   * respond, the requests that it holds.
   */
  readonly callsInProgress: number;
  /**
   * When the oldest call in progress began, in milliseconds since the epoch; null if there is none, or if
   * the service does not respond.
   */
  readonly oldest: number | null;
  /**
   * Whether it has answered in time. A process that is stopped does not, nor one whose event loop is busy,
   * nor one that serves the channel without typed calls.
   */
  readonly responds: boolean;
}

/** Options of {@linkcode services}. */
export interface ServicesOptions {
  /**
   * How long services may take to answer, in milliseconds. All are asked at once. Others are listed with
   * what the shared memory says of them.
   *
   * @default {1000}
   */
  timeout?: number;
  /** Ends the wait: the promise rejects with its reason. */
  signal?: AbortSignal;
  /** For a `nats://` target that is given as text. */
  nats?: NatsOptions;
}

const timeoutDefault = 1_000;

/**
 * The services that are open on a target: who they are, and how busy. The order is that of their places in
 * the channel; it stays the same while they are open.
 *
 * @example
 * ```ts
 * import { serve, services } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * await using service = serve("listed", { ping: () => "pong" }, { version: "2" });
 * const [info] = await services("listed");
 * assertEquals([info?.version, info?.callsInProgress, info?.oldest], ["2", 0, null]);
 * service.unlink();
 * ```
 *
 * @param target a target, as for {@linkcode connect}; or a remote, for its target
 * @returns an empty list where there is no such target, or no service on it
 * @throws {TandemError} the codes of {@linkcode Client.open} other than `NOT_FOUND`; `CLOSED` when the
 * remote is closed
 * @throws {TypeError} {RangeError} for wrong arguments
 */
export async function services(
  target: string | Disposable,
  options: ServicesOptions = {},
): Promise<ServiceInfo[]> {
  const { timeout = timeoutDefault, signal, nats } = options;
  checkTimeout(timeout, "timeout");
  signal?.throwIfAborted();
  if (typeof target !== "string") {
    return await list(
      stateOf(target, "list the services of").connection.lines.main,
      timeout,
      signal,
    );
  }
  const connection = new Connection(target, parseConnectOptions(nats ? { nats } : {}));
  try {
    return await list(connection.lines, timeout, signal);
  } finally {
    connection.close();
  }
}

async function list(
  lines: Lines,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<ServiceInfo[]> {
  const deadline = now() + timeout;
  const line = lines.isRemote ? await lines.whenOpen(deadline, signal) : lines.openNow();
  if (!line) return [];
  const { requester, endpoint } = line;
  // Those that answer late are asked in vain.
  await requester.discover?.(now() + timeout / 2, signal);
  // Not those of the line, which stay open: there may be many services.
  const paths = new PrivatePaths(requester, endpoint);
  try {
    const receivers = requester.listReceivers();
    const found = await Promise.all(receivers.map((receiver) => {
      const own = new InstanceLines(lines, addresseeOf(receiver), paths);
      return look(own, receiver, deadline, signal);
    }));
    signal?.throwIfAborted();
    if (lines.closing.aborted) lines.openNow(); // throws
    const living = new Set(requester.listReceivers().map(({ privatePath }) => privatePath));
    return found.filter((_, index) => living.has(receivers[index]!.privatePath));
  } finally {
    paths.closeAll();
  }
}

/** Never rejects. */
async function look(
  lines: InstanceLines,
  { pid, uid, runtime, calls }: ReceiverInfo,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<ServiceInfo> {
  try {
    const line = await lines.whenOpen(deadline, signal);
    const [version, callsInProgress, oldest] = await ask(line, deadline, signal);
    const known = { version: version ?? undefined, callsInProgress, oldest, responds: true };
    return { pid, uid, runtime, ...known };
  } catch {
    // It is stopped, busy, gone, or no typed service.
    const unknown = { version: undefined, callsInProgress: calls, oldest: null, responds: false };
    return { pid, uid, runtime, ...unknown };
  }
}

function ask(
  { requester, endpoint }: Line,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<SelfDescription> {
  return new Promise((resolve, reject) => {
    const reader: AnswerReader = {
      read: (bytes, isPrivate) => {
        const read = (reading: Reading) => readDescription(reading, endpoint);
        resolve(readMessage(endpoint.reads, bytes, isPrivate, read, undefined));
      },
      fail: reject,
    };
    const terms = { timeout: Math.max(0, deadline - now()), ...(signal && { signal }) };
    const send = (message: Message) => requester.request(message, terms, reader);
    const max = requester.maxRequestBytes;
    withMessage(endpoint.writes("call"), Kind.describe, 0, max, () => {}, send);
  });
}

function readDescription(reading: Reading, { reads }: Endpoint): SelfDescription {
  const { kind, decoder } = reading;
  if (kind === Kind.refused) throw readRefusal(decoder);
  if (kind !== Kind.value) throw corrupt(`a description has kind ${kind}`);
  const [version, callsInProgress, oldest] = decoder.value() as unknown[];
  reads.finish(reading, undefined);
  return [
    typeof version === "string" ? version : null,
    Number(callsInProgress),
    typeof oldest === "number" ? oldest : null,
  ];
}
