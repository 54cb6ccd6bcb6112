/**
 * Options of nodes.
 *
 * @module
 */
import { checkTimeout, checkWhole, describe } from "../base/checks.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import type { RegisteredErrors } from "../codec/error_classes.ts";
import { checkLease } from "../limit/options.ts";
import { checkNodeId, checkNodeName } from "./ids.ts";

/** A message of a node, for `trace`. */
export interface TraceRecord {
  /** Whether this node has sent it or got it. What a node sends to itself is sent and got. */
  readonly direction: "sent" | "got";
  /** The other node. */
  readonly node: string;
  /** The message, one line: an array in JSON, with the kind of the message as its first item. */
  readonly text: string;
}

/** Options of {@linkcode Node.start}. */
export interface NodeOptions {
  /**
   * The beginning of the node's id, for people.
   *
   * @default "node"
   */
  readonly name?: string;
  /**
   * The node's id. A second living node of the group with the same id is refused with `EXISTS`.
   *
   * @default the name, `@`, and a random token
   */
  readonly id?: string;
  /**
   * Only nodes of the same group see each other.
   *
   * @default "default"
   */
  readonly group?: string;
  /**
   * Who may take part: the mode of the group's files, for whoever creates them.
   *
   * @default 0o600
   */
  readonly mode?: number;
  /**
   * Where nodes meet that do not share a `TANDEM_DIR`, for example those on other machines: servers of NATS,
   * `nats://host:4222` or `nats://host:4222,host2:4222`. The NATS client has to be installed.
   *
   * @default nowhere
   */
  readonly network?: string;
  /** How the network is reached: the login, TLS, and the prefix of the subjects. */
  readonly nats?: NatsOptions;
  /**
   * With a network: how often a node tells that it lives, and after which silence it takes others for dead, in
   * milliseconds: at least two intervals.
   *
   * @default { interval: 1_000, timeout: 5_000 }
   */
  readonly heartbeat?: { readonly interval?: number; readonly timeout?: number };
  /**
   * With a network: how long a claim lasts when its node has died or lost its link, in milliseconds, at least 1,000.
   * The server counts whole seconds.
   *
   * @default 15000
   */
  readonly lease?: number;
  /**
   * How many messages may wait in a port, unless the port has a `maxQueue` of its own.
   *
   * @default 10000
   */
  readonly maxQueue?: number;
  /**
   * How many bytes of messages may wait for another node.
   *
   * @default 2 ** 24
   */
  readonly maxQueueBytes?: number;
  /**
   * The longest message.
   *
   * @default 2 ** 24
   */
  readonly maxMessageBytes?: number;
  /**
   * Error classes that errors keep on their way, also when a call of `at` throws them, so that `instanceof` works
   * there. All nodes have to give them, by the same names: `{ NotFound, QuotaError }`. Other errors arrive as a
   * {@linkcode RemoteError}, and so does the `error` of a {@linkcode Reason}.
   */
  readonly errors?: RegisteredErrors;
  /** Sees every message of this node. {@linkcode Node.trace} does so later. */
  readonly trace?: (record: TraceRecord) => void;
}

/** Options of {@linkcode Node.port}. */
export interface PortOptions {
  /**
   * How many messages may be handled at once.
   *
   * @default 1
   */
  readonly concurrency?: number;
  /**
   * How many messages may wait. One more ends the port (`overflow`).
   *
   * @default the node's `maxQueue`
   */
  readonly maxQueue?: number;
}

/** Options of a call, and of {@linkcode Node.ready}. */
export interface PortCallOptions {
  /**
   * For the answer, in milliseconds.
   *
   * @default Infinity
   */
  readonly timeout?: number;
  /** Cancels: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Options with their defaults. */
export interface NodeTerms {
  readonly name: string;
  readonly id: string | undefined;
  readonly group: string;
  readonly mode: number;
  readonly network: string | undefined;
  readonly nats: NatsOptions;
  readonly heartbeat: { readonly interval: number; readonly timeout: number };
  readonly lease: number;
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  readonly maxMessageBytes: number;
  readonly errors: RegisteredErrors;
  /** It changes while the node runs. */
  trace: ((record: TraceRecord) => void) | undefined;
}

const groupForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,57}$/;

/** @throws {TypeError} {RangeError} */
export function nodeTerms(options: NodeOptions = {}): NodeTerms {
  checkObject(options);
  const { name = "node", id, group = "default", mode = 0o600, network, trace } = options;
  const { errors = [] } = options;
  checkNodeName(name);
  if (id !== undefined) checkNodeId(id);
  if (typeof group !== "string" || !groupForm.test(group)) {
    throw new TypeError(
      `Cannot use ${
        describe(group)
      } as group: give a name of up to 58 of the characters A-Z a-z 0-9 . _ -`,
    );
  }
  if (network !== undefined && typeof network !== "string") {
    throw new TypeError(
      `Cannot use ${describe(network)} as network: give a text such as nats://host:4222`,
    );
  }
  if (trace !== undefined && typeof trace !== "function") {
    throw new TypeError(`Cannot use ${describe(trace)} as trace: give a function`);
  }
  const { heartbeat = {} } = options;
  if (typeof heartbeat !== "object" || heartbeat === null) {
    throw new TypeError(`Cannot use ${describe(heartbeat)} as heartbeat: give an object`);
  }
  const { interval = 1_000, timeout = Math.max(5_000, 2 * interval) } = heartbeat;
  checkWhole(interval, "heartbeat.interval", 1, 60_000);
  checkWhole(timeout, "heartbeat.timeout", 2 * interval, 2 ** 31 - 1);
  return {
    name,
    id,
    group,
    mode: checkWhole(mode, "mode", 0, 0o777),
    network,
    nats: options.nats ?? {},
    heartbeat: { interval, timeout },
    lease: checkLease(options.lease),
    maxQueue: checkWhole(options.maxQueue ?? 10_000, "maxQueue", 1, 2 ** 31 - 1),
    maxQueueBytes: checkWhole(options.maxQueueBytes ?? 2 ** 24, "maxQueueBytes", 1, 2 ** 30),
    maxMessageBytes: checkWhole(options.maxMessageBytes ?? 2 ** 24, "maxMessageBytes", 1, 2 ** 30),
    errors,
    trace,
  };
}

/** @throws {TypeError} {RangeError} */
export function portTerms(options: PortOptions, maxQueue: number): Required<PortOptions> {
  checkObject(options);
  const { concurrency = 1 } = options;
  return {
    concurrency: concurrency === Infinity
      ? concurrency
      : checkWhole(concurrency, "concurrency", 1, 2 ** 31 - 1),
    maxQueue: checkWhole(options.maxQueue ?? maxQueue, "maxQueue", 1, 2 ** 31 - 1),
  };
}

/**
 * The timeout of a call, NaN for ever.
 *
 * @throws {TypeError} {RangeError}
 */
export function callTimeout(options: PortCallOptions): number {
  checkObject(options);
  const { timeout = Infinity, signal } = options;
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throw new TypeError(`Cannot use ${describe(signal)} as signal: give an AbortSignal`);
  }
  return checkTimeout(timeout, "timeout");
}

function checkObject(options: unknown): void {
  if (typeof options === "object" && options !== null) return;
  throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
}
