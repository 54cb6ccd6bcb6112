/**
 * Streams of JetStream in which this package keeps something: they are made at their first use.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { type CopiesConfig, copiesWanted, mendCopies, withCopies } from "./copies.ts";
import {
  ErrorNumber,
  isFull,
  isRefusal,
  type JetStream,
  type RefusedRequest,
} from "./jetstream.ts";
import type { Link } from "./link.ts";

/** Before it, the server does not remove single messages by itself. */
const oldestVersion = "2.11.1";

/** A stream, as the server tells of it. */
export interface Stream<Config> {
  readonly created: string;
  readonly config: Config;
  readonly cluster?: unknown;
  readonly state?: { readonly messages?: number };
}

/** What a new stream is like. */
export interface NewStream {
  readonly name: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly [option: string]: unknown;
}

/** @throws {TandemError} `UNSUPPORTED` */
export function checkVersion(link: Link, tried: string): void {
  const version = link.info?.version;
  if (version === undefined || !isOlder(version, oldestVersion)) return;
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot ${tried} through NATS (${link.place}): the server's version is ${version}, and this needs ` +
      `${oldestVersion} or newer, which removes single messages when their time is over`,
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

/**
 * Makes a stream, unless there is one of that name. If it has too few copies for a cluster, it gets them later.
 *
 * @throws as {@linkcode JetStream.ask}
 */
export async function ensureStream<Config extends CopiesConfig>(
  link: Link,
  jetStream: JetStream,
  wanted: NewStream,
): Promise<Stream<Config>> {
  const { name } = wanted;
  const stream = await found<Config>(jetStream, name) ?? await made<Config>(jetStream, wanted);
  mendCopies(link, jetStream, name, stream);
  return stream;
}

async function found<Config>(jetStream: JetStream, name: string): Promise<Stream<Config> | null> {
  try {
    return await jetStream.ask(`STREAM.INFO.${name}`) as unknown as Stream<Config>;
  } catch (error) {
    if (isRefusal(error, ErrorNumber.streamNotFound)) return null;
    throw error;
  }
}

async function made<Config>(jetStream: JetStream, stream: NewStream): Promise<Stream<Config>> {
  const { name } = stream;
  for (const copies of [copiesWanted, 1]) {
    try {
      const question = withCopies(stream, copies);
      return await jetStream.ask(`STREAM.CREATE.${name}`, question) as unknown as Stream<Config>;
    } catch (error) {
      if (isRefusal(error, ErrorNumber.streamNameInUse)) {
        const other = await found<Config>(jetStream, name);
        if (other) return other;
      }
      const needsFewer = isRefusal(
        error,
        ErrorNumber.replicasNotSupported,
        ErrorNumber.noSuitablePeers,
      );
      if (copies === 1 || !needsFewer) throw error;
    }
  }
  throw new Error("unreachable");
}

/**
 * The error for somebody who needs the stream.
 *
 * @param tried `use the bucket "x"`
 * @param purpose `for limits`
 */
export function refusedStream(
  link: Link,
  tried: string,
  purpose: string,
  error: RefusedRequest,
): TandemError {
  const { code, description } = error.refusal;
  // In a cluster, nobody answers until a leader is elected.
  const isOff = isRefusal(error, ErrorNumber.notEnabled, ErrorNumber.notEnabledForAccount) ||
    isRefusal(error, ErrorNumber.unheard) && !link.info?.jetstream;
  const found = `Cannot ${tried} of NATS (${link.place}) ${purpose}: the server says ` +
    JSON.stringify(description ?? "");
  if (isOff) {
    return new TandemError(
      "UNSUPPORTED",
      `${found}; switch JetStream on in its configuration (jetstream: {}), and for the account of the user`,
      { cause: error },
    );
  }
  const isTemporary = code === 503 && !isFull(error.refusal);
  return new TandemError(isTemporary ? "DISCONNECTED" : "NO_SPACE", found, { cause: error });
}
