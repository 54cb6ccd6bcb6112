/**
 * Where limits keep what they share: a key-value bucket of NATS for each prefix.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import type { Link } from "../link.ts";
import { ErrorNumber, isRefusal, type JetStream, RefusedRequest } from "./jetstream.ts";

/** Before it, the server does not end leases by itself. */
const oldestVersion = "2.11.1";
/** How long the server tells newcomers of what it has removed, in nanoseconds. */
const markerLifetime = 60e9;
/** In a cluster, a bucket outlives the loss of a server. */
const replicas = 3;

/**
 * The name of the bucket. Names of buckets have no dots, so a dot becomes `_-`, and an underscore two: no two
 * prefixes have the same bucket.
 */
export function bucketOf(prefix: string): string {
  return `${prefix.replaceAll("_", "__").replaceAll(".", "_-")}_-limits`;
}

/** The stream that holds a bucket. */
export function streamOf(bucket: string): string {
  return `KV_${bucket}`;
}

/** A stream, as the server tells of it. */
interface Stream {
  readonly created: string;
  readonly config: StreamConfig;
}

interface StreamConfig {
  readonly allow_msg_ttl?: boolean;
  readonly subject_delete_marker_ttl?: number;
  readonly max_msgs_per_subject?: number;
}

/**
 * Makes the bucket, unless there is one.
 *
 * @returns when it was made
 * @throws {TandemError} `UNSUPPORTED`, `MISMATCH`, `NO_SPACE`, and as {@linkcode JetStream.ask}
 */
export async function ensureBucket(
  link: Link,
  jetStream: JetStream,
  bucket: string,
): Promise<string> {
  checkVersion(link);
  try {
    const { config, created } = await found(jetStream, bucket) ?? await made(jetStream, bucket);
    checkConfig(config, bucket);
    return created;
  } catch (error) {
    throw error instanceof RefusedRequest ? refusedBucket(link, bucket, error) : error;
  }
}

function checkVersion(link: Link): void {
  const version = link.info?.version;
  if (version === undefined || !isOlder(version, oldestVersion)) return;
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot use a limit through NATS (${link.place}): its version is ${version}, and limits need ${oldestVersion} or ` +
      "newer, which ends leases by itself",
  );
}

/** Whether one version is older than another. */
export function isOlder(version: string, other: string): boolean {
  const [numbers, others] = [version, other].map((one) =>
    one.split(/[.-]/).slice(0, 3).map(Number)
  );
  for (const [at, number] of others!.entries()) {
    const own = numbers![at] ?? 0;
    if (own !== number) return own < number;
  }
  return false;
}

async function found(jetStream: JetStream, bucket: string): Promise<Stream | null> {
  try {
    return await jetStream.ask(`STREAM.INFO.${streamOf(bucket)}`) as unknown as Stream;
  } catch (error) {
    if (isRefusal(error, ErrorNumber.streamNotFound)) return null;
    throw error;
  }
}

async function made(jetStream: JetStream, bucket: string): Promise<Stream> {
  for (const num_replicas of [replicas, 1]) {
    try {
      return await jetStream.ask(`STREAM.CREATE.${streamOf(bucket)}`, {
        name: streamOf(bucket),
        description: "Limits of @tandem/ipc",
        subjects: [`$KV.${bucket}.>`],
        retention: "limits",
        discard: "new",
        storage: "file",
        num_replicas,
        max_msgs_per_subject: 1,
        max_msgs: -1,
        max_bytes: -1,
        max_age: 0,
        allow_direct: true,
        allow_rollup_hdrs: true,
        deny_delete: true,
        allow_msg_ttl: true,
        subject_delete_marker_ttl: markerLifetime,
      }) as unknown as Stream;
    } catch (error) {
      if (isRefusal(error, ErrorNumber.streamNameInUse)) {
        const stream = await found(jetStream, bucket);
        if (stream) return stream;
      }
      const needsFewer = isRefusal(
        error,
        ErrorNumber.replicasNotSupported,
        ErrorNumber.noSuitablePeers,
      );
      if (num_replicas === 1 || !needsFewer) throw error;
    }
  }
  throw new Error("unreachable");
}

function checkConfig(config: StreamConfig, bucket: string): void {
  const isRight = config.allow_msg_ttl === true && config.max_msgs_per_subject === 1 &&
    (config.subject_delete_marker_ttl ?? 0) > 0;
  if (isRight) return;
  throw new TandemError(
    "MISMATCH",
    `Cannot use the bucket ${
      JSON.stringify(bucket)
    } of NATS for limits: it must keep one value of each key, and ` +
      "allow lifetimes of single values (allow_msg_ttl) with markers of removals (subject_delete_marker_ttl); " +
      "remove it, or use another prefix",
  );
}

function refusedBucket(link: Link, bucket: string, error: RefusedRequest): TandemError {
  const { code, description } = error.refusal;
  // In a cluster, nobody answers until a leader is elected.
  const isOff = isRefusal(error, ErrorNumber.notEnabled, ErrorNumber.notEnabledForAccount) ||
    isRefusal(error, ErrorNumber.unheard) && !link.info?.jetstream;
  const found =
    `Cannot use the bucket ${
      JSON.stringify(bucket)
    } of NATS (${link.place}) for limits: the server says ` +
    JSON.stringify(description ?? "");
  if (isOff) {
    return new TandemError(
      "UNSUPPORTED",
      `${found}; switch JetStream on in its configuration (jetstream: {}), and for the account of the user`,
      { cause: error },
    );
  }
  return new TandemError(code === 503 ? "DISCONNECTED" : "NO_SPACE", found, { cause: error });
}
