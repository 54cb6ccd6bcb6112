/**
 * Where limits, and claims of nodes, keep what they share: a key-value bucket of NATS for each prefix.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import type { CopiesConfig } from "../copies.ts";
import type { Link } from "../link.ts";
import { type JetStream, RefusedRequest } from "../jetstream.ts";
import { checkVersion, ensureStream, refusedStream } from "../streams.ts";

/** How long the server tells newcomers of what it has removed, in nanoseconds. */
const markerLifetime = 60e9;

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

interface StreamConfig extends CopiesConfig {
  readonly allow_msg_ttl?: boolean;
  readonly subject_delete_marker_ttl?: number;
  readonly max_msgs_per_subject?: number;
  readonly max_age?: number;
}

/** What a bucket is needed for, in messages. */
export type BucketPurpose = "limits" | "claims";

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
  purpose: BucketPurpose = "limits",
): Promise<string> {
  checkVersion(link, `use ${purpose}`);
  try {
    const { config, created } = await ensureStream<StreamConfig>(link, jetStream, {
      name: streamOf(bucket),
      description: "Limits of @tandem/ipc",
      subjects: [`$KV.${bucket}.>`],
      retention: "limits",
      discard: "new",
      storage: "file",
      max_msgs_per_subject: 1,
      max_msgs: -1,
      max_bytes: -1,
      max_age: 0,
      allow_direct: true,
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_msg_ttl: true,
      subject_delete_marker_ttl: markerLifetime,
    });
    checkConfig(config, bucket, purpose);
    return created;
  } catch (error) {
    if (!(error instanceof RefusedRequest)) throw error;
    throw refusedStream(link, `use the bucket ${JSON.stringify(bucket)}`, `for ${purpose}`, error);
  }
}

function checkConfig(config: StreamConfig, bucket: string, purpose: BucketPurpose): void {
  const isRight = config.allow_msg_ttl === true && config.max_msgs_per_subject === 1 &&
    (config.max_age ?? 0) === 0 && (config.subject_delete_marker_ttl ?? 0) > 0;
  if (isRight) return;
  throw new TandemError(
    "MISMATCH",
    `Cannot use the bucket ${
      JSON.stringify(bucket)
    } of NATS for ${purpose}: it must keep one value of each key, without a lifetime of all of them (max_age), and ` +
      "allow lifetimes of single values (allow_msg_ttl) with markers of removals (subject_delete_marker_ttl); " +
      "remove it, or use another prefix",
  );
}
