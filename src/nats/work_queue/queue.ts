/**
 * The stream of a work queue and its consumer, as services make and use them.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { now, wallClock } from "../../runtime/timers.ts";
import type { CopiesConfig } from "../copies.ts";
import { type JetStream, RefusedRequest } from "../jetstream.ts";
import type { Link } from "../link.ts";
import { checkVersion, ensureStream, refusedStream, type Stream } from "../streams.ts";
import { consumerName } from "./names.ts";

/** A call goes to another service when its service has been silent for so long. */
export const ackWaitMilliseconds = 5_000;
/** How long a call may wait whose caller sets no limit; after that, also what is known of a consumer may go. */
export const ageMaxSeconds: number = 24 * 60 * 60;
/** How many calls wait or are worked on at most, and their bytes. */
const messagesMax = 65_536;
const bytesMax = 64 * 2 ** 20;
/** The most services that may wait for calls at once. */
const waitingMax = 8_192;
/** In the stream's metadata: options that all services must have alike. */
const deliveriesKey = "tandem-max-deliveries";

/** A queue, as its services see it. */
export interface QueuePlace {
  /** The stream. */
  readonly name: string;
  /** Where calls are published. */
  readonly subject: string;
  /** The target, for messages. */
  readonly target: string;
}

interface Config extends CopiesConfig {
  readonly name: string;
  readonly retention?: string;
  readonly subjects?: readonly string[];
  readonly allow_msg_ttl?: boolean;
}

/** The server's clock as this process reads it. */
export class ServerClock {
  /** What the server's clock is ahead of the monotonic clock of this process, in milliseconds. */
  #ahead: number = wallClock() - now();

  /** @param time as the server tells it; anything else is ignored */
  set(time: unknown): void {
    const found = typeof time === "string" ? Date.parse(time) : NaN;
    if (!Number.isNaN(found)) this.#ahead = found - now();
  }

  /** In milliseconds since the epoch. */
  get time(): number {
    return now() + this.#ahead;
  }
}

/**
 * Makes the stream and the consumer, unless they are there.
 *
 * @throws {TandemError} `UNSUPPORTED` without JetStream; `MISMATCH` when services with another `maxDeliveries` use the
 * queue, or the stream is none of this package; `NO_SPACE`; `DISCONNECTED`; `PERMISSION`
 */
export async function ensureQueue(
  link: Link,
  jetStream: JetStream,
  place: QueuePlace,
  maxDeliveries: number,
  clock: ServerClock,
): Promise<void> {
  checkVersion(link, `serve ${JSON.stringify(place.target)} with maxDeliveries ${maxDeliveries}`);
  try {
    const stream = await ensureStream<Config>(link, jetStream, {
      name: place.name,
      description: "Calls of @tandem/ipc that another service gets when one dies",
      subjects: [place.subject],
      retention: "workqueue",
      // A full queue refuses, so that callers hear of it.
      discard: "new",
      storage: "file",
      max_msgs: messagesMax,
      max_bytes: bytesMax,
      max_age: ageMaxSeconds * 1e9,
      allow_msg_ttl: true,
      metadata: { [deliveriesKey]: String(maxDeliveries) },
    });
    checkKind(stream, place);
    const { ts, num_waiting, num_ack_pending } = await ensureConsumer(jetStream, place.name);
    clock.set(ts);
    const wanted = String(maxDeliveries);
    const found = stream.config.metadata?.[deliveriesKey];
    if (found === wanted) return;
    const isUsed = Number(num_waiting) + Number(num_ack_pending) > 0 ||
      (stream.state?.messages ?? 0) > 0;
    if (isUsed) throw otherDeliveries(place, maxDeliveries, found);
    const metadata = { ...stream.config.metadata, [deliveriesKey]: wanted };
    await jetStream.ask(`STREAM.UPDATE.${place.name}`, { ...stream.config, metadata });
  } catch (error) {
    if (!(error instanceof RefusedRequest)) throw error;
    throw refusedStream(link, `use the stream ${place.name}`, "for maxDeliveries", error);
  }
}

/** Reads the server's clock. Never rejects. */
export async function readClock(
  jetStream: JetStream,
  stream: string,
  clock: ServerClock,
): Promise<void> {
  try {
    const { ts } = await jetStream.ask(`STREAM.INFO.${stream}`);
    clock.set(ts);
  } catch {
    // The one that was read before is good enough.
  }
}

/** Operators may give it other limits, but not another purpose. */
function checkKind({ config }: Stream<Config>, { name, subject }: QueuePlace): void {
  const isRight = config.retention === "workqueue" && config.allow_msg_ttl === true &&
    config.subjects?.length === 1 && config.subjects[0] === subject;
  if (isRight) return;
  throw new TandemError(
    "MISMATCH",
    `Cannot use the stream ${name} of NATS for maxDeliveries: it must be a work queue of ${subject} alone, and ` +
      "allow lifetimes of single messages (allow_msg_ttl); remove it, or use another prefix",
  );
}

function otherDeliveries(
  { target }: QueuePlace,
  wanted: number,
  found: string | undefined,
): TandemError {
  return new TandemError(
    "MISMATCH",
    `Cannot serve ${
      JSON.stringify(target)
    } with maxDeliveries ${wanted}: other services have it with ` +
      `${found ?? "none"}, and are there, or calls of theirs wait; give all of them the same`,
  );
}

async function ensureConsumer(
  jetStream: JetStream,
  stream: string,
): Promise<Readonly<Record<string, unknown>>> {
  return await jetStream.ask(`CONSUMER.CREATE.${stream}.${consumerName}`, {
    stream_name: stream,
    config: {
      name: consumerName,
      durable_name: consumerName,
      ack_policy: "explicit",
      ack_wait: ackWaitMilliseconds * 1e6,
      // Services count, because each call has a limit of its own, and somebody must tell the caller.
      max_deliver: -1,
      // Services ask for as many calls as they have places.
      max_ack_pending: -1,
      max_waiting: waitingMax,
      inactive_threshold: ageMaxSeconds * 1e9,
      deliver_policy: "all",
      replay_policy: "instant",
    },
  });
}
