/**
 * Topics: values that any process publishes, and that every subscriber gets.
 *
 * @module
 */
import { checkWhole, describe } from "../base/checks.ts";
import { ErrorClasses, type RegisteredErrors } from "../codec/error_classes.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import { topicTransportOf } from "../transport/targets.ts";
import type { Overflow, TopicEnd } from "../transport/transport.ts";
import { type Subscription, SubscriptionCore } from "./subscription.ts";
import { TopicCodec } from "./topic_codec.ts";

/** Options of {@linkcode topic}. Give the same ones in all processes. */
export interface TopicOptions {
  /**
   * The longest value in bytes, up to 1 GiB. It limits what is published here, and what subscriptions of
   * this topic take: they miss longer values, as if there were no room.
   *
   * @default {1048576}
   */
  maxMessageBytes?: number;
  /** Error classes that errors among the values keep: see {@linkcode EndOptions.errors}. */
  errors?: RegisteredErrors;
  /**
   * The mode of the topic's file, if it has to be created.
   *
   * @default {0o600}
   */
  mode?: number;
  /** For `nats://` targets; other targets need none. */
  nats?: NatsOptions;
}

/** Options of {@linkcode Topic.subscribe}. */
export interface SubscribeOptions {
  /**
   * The most values that wait until they are read, up to 65,000. They take memory as long as they wait.
   *
   * @default {256}
   */
  buffer?: number;
  /**
   * What happens to a value for which there is no room.
   *
   * - `"drop-oldest"` drops the oldest value that waits. The subscriber gets the newest `buffer` values:
   *   for states, such as prices.
   * - `"drop-newest"` drops the new value. The subscriber gets the oldest `buffer` values.
   * - `"end"`: the subscriber gets the values that wait, and then its iteration fails with `BUSY`: for
   *   events of which none may be missed, where the subscriber can start over.
   *
   * @default "drop-oldest"
   */
  overflow?: Overflow;
  /** Ends the subscription: the iteration fails with its reason. */
  signal?: AbortSignal;
}

/** Values that any process publishes, and that every subscriber gets: see {@linkcode topic}. */
export interface Topic<T> extends Disposable {
  /** The path of the topic's file; of a `memory:` target, the target. */
  readonly path: string;
  /**
   * Hands a value to all current subscribers, in all processes. It never waits, whatever they do: a
   * subscriber without room gets what it has chosen with `overflow`. The values of one process arrive in
   * the order in which it has published them, even if it ends immediately afterwards.
   *
   * @returns how many subscribers it was handed to. A subscriber that has just died may count for up to a
   * tenth of a second. Over NATS nobody knows: NaN
   * @throws {TandemError} `NOT_SERIALIZABLE`; `TOO_LARGE` when the value is over `maxMessageBytes`, or over NATS what the
   * server takes; `CLOSED`; over NATS `DISCONNECTED` and `PERMISSION`; and where the topic has to be opened first, the codes of {@linkcode Client.open}
   */
  publish(value: T): number;
  /**
   * Subscribes to the values that are published from now on. When this returns, every process that
   * publishes a value reaches this subscriber; over NATS, when {@linkcode Subscription.ready} resolves.
   *
   * @throws {TandemError} the codes of {@linkcode Server.open}; `BUSY` when the topic has 1,024 participants;
   * `PERMISSION` when this process has no folder of its own beside the topic
   * @throws {TypeError} {RangeError} for wrong options
   */
  subscribe(options?: SubscribeOptions): Subscription<T>;
  /**
   * Removes the topic's name: do this when the last process has ended with it. Open subscriptions fail
   * with `NOT_FOUND`; a later `publish` or `subscribe` makes the topic anew.
   *
   * @returns false: there was none
   */
  unlink(): boolean;
  /** Ends what this object has opened for publishing. Its subscriptions stay open. Twice is fine. */
  close(): void;
}

const messageBytesMax = 2 ** 30;
/** With the spare slots, a channel's limit. */
const bufferMax = 65_000;
const overflows: readonly string[] = ["drop-oldest", "drop-newest", "end"] satisfies Overflow[];

/**
 * A topic: any process publishes values to it, and every subscriber in any process gets them. A
 * subscriber that is slow, stopped or dead holds up neither the publishers nor the other subscribers, and
 * keeps no more than its `buffer` of values.
 *
 * Values may be everything that arguments of calls may be, except streams, signals and functions. A
 * subscriber that comes later gets only later values. A topic is not a service: `topic("prices")` and
 * `serve("prices", …)` are two different files in the same folder, `prices.topic.tandem` and
 * `prices.tandem`, and so a topic's name has at most 58 characters.
 *
 * An open topic or subscription does not keep a process alive; a pending wait for the next value does.
 *
 * @example
 * ```ts
 * import { topic } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * interface Price {
 *   name: string;
 *   cents: number;
 * }
 *
 * // One process:
 * using prices = topic<Price>("prices");
 * using seen = prices.subscribe({ buffer: 100, overflow: "drop-oldest" });
 *
 * // Any other process:
 * using publisher = topic<Price>("prices");
 * publisher.publish({ name: "tea", cents: 300 });
 * publisher.publish({ name: "tea", cents: 310 });
 *
 * for await (const { cents } of seen) {
 *   if (cents === 310) break;
 * }
 * assertEquals(publisher.publish({ name: "tea", cents: 320 }), 0);
 * prices.unlink();
 * ```
 *
 * @example A subscriber that must not miss anything
 * ```ts
 * import { TandemError, topic } from "@tandem/ipc";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * using changes = topic<number>("memory:changes");
 * using strict = changes.subscribe({ buffer: 2, overflow: "end" });
 * for (const change of [1, 2, 3]) changes.publish(change);
 *
 * const read: number[] = [];
 * const reading = async (): Promise<void> => {
 *   for await (const change of strict) read.push(change);
 * };
 * const error = await assertRejects(reading, TandemError);
 * assertEquals([read, error.code], [[1, 2], "BUSY"]);
 * ```
 *
 * @typeParam T the type of its values
 * Over NATS, a value reaches each subscriber at most once, and nobody counts the subscribers: `publish` returns NaN. Await
 * {@linkcode Subscription.ready} before others publish. What is published while the link is lost, or before a subscriber has
 * it back, does not arrive; a subscription with `overflow: "end"` fails with `DISCONNECTED` then. `unlink` does nothing.
 *
 * @param target a name or a path, as for {@linkcode serve}; or `memory:NAME`, within this thread; or
 * `nats://HOST:PORT,HOST:PORT/NAME`, for all machines
 * @param options the same in all processes
 * @throws {TypeError} {RangeError} for wrong options
 */
export function topic<T>(target: string, options: TopicOptions = {}): Topic<T> {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const { maxMessageBytes = 2 ** 20, errors, mode, nats } = options;
  const maxBytes = checkWhole(maxMessageBytes, "maxMessageBytes", 64, messageBytesMax);
  if (mode !== undefined) checkWhole(mode, "mode", 0, 0o777);
  const end = topicTransportOf(target, nats).openTopic(target, { maxBytes, mode });
  return new TopicHandle<T>(end, new TopicCodec(new ErrorClasses(errors), maxBytes));
}

class TopicHandle<T> implements Topic<T> {
  readonly #end: TopicEnd;
  readonly #codec: TopicCodec;

  constructor(end: TopicEnd, codec: TopicCodec) {
    this.#end = end;
    this.#codec = codec;
  }

  get path(): string {
    return this.#end.path;
  }

  publish(value: T): number {
    return this.#codec.encode(value, (message) => this.#end.publish(message));
  }

  subscribe(options: SubscribeOptions = {}): Subscription<T> {
    if (typeof options !== "object" || options === null) {
      throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
    }
    const { buffer = 256, overflow = "drop-oldest", signal } = options;
    checkWhole(buffer, "buffer", 1, bufferMax);
    if (!overflows.includes(overflow)) {
      throw new TypeError(
        `Cannot use ${describe(overflow)} as overflow: give ${overflows.join(", ")}`,
      );
    }
    signal?.throwIfAborted();
    const inbox = this.#end.subscribe({ buffer, overflow });
    return new SubscriptionCore<T>(inbox, this.#codec, signal);
  }

  unlink(): boolean {
    return this.#end.unlink();
  }

  close(): void {
    this.#end.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
