/**
 * How many copies of a stream a cluster keeps. If too few of its servers are there when a stream is made, the stream has
 * one copy. Whoever uses it gives it the others as soon as the cluster can keep them.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import { ErrorNumber, isRefusal, type JetStream } from "./jetstream.ts";
import type { Link, Numbered } from "./link.ts";

/** In a cluster, a stream outlives the loss of a server. */
export const copiesWanted = 3;
/**
 * In the stream's metadata: how many copies this package has given it. If the stream has another number, an operator
 * has set that, and it stays.
 */
const copiesKey = "tandem-copies";
/** The longest pause between attempts, in ticks of the link: two minutes. */
const pauseMax = 256;

/** The part of a stream's configuration that is about its copies. */
export interface CopiesConfig {
  readonly num_replicas?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A stream, as the server tells of it. */
export interface Copied {
  readonly config: CopiesConfig;
  /** Missing: the server belongs to no cluster. */
  readonly cluster?: unknown;
}

/** The configuration with a number of copies, and with the mark that this package has chosen it. */
export function withCopies<Config extends CopiesConfig>(
  config: Config,
  count: number,
): Config & Required<CopiesConfig> {
  const metadata = { ...config.metadata, [copiesKey]: String(count) };
  return { ...config, num_replicas: count, metadata };
}

function lacksCopies({ config, cluster }: Copied): boolean {
  const { num_replicas = 1, metadata } = config;
  return cluster !== undefined && num_replicas < copiesWanted &&
    metadata?.[copiesKey] === String(num_replicas);
}

/** The streams that users of a link are mending. */
const mended: WeakMap<Link, Set<string>> = new WeakMap();

/** Gives a stream the copies that it lacks, now or later, as long as the link is used. */
export function mendCopies(link: Link, jetStream: JetStream, name: string, stream: Copied): void {
  if (!lacksCopies(stream)) return;
  const names = mended.get(link) ?? new Set();
  mended.set(link, names);
  if (names.has(name)) return;
  names.add(name);
  new Mending(link, jetStream, name, () => void names.delete(name));
}

class Mending implements Numbered {
  readonly #link: Link;
  readonly #jetStream: JetStream;
  readonly #name: string;
  readonly #onEnd: () => void;
  readonly #number: number;
  #isAsking = false;
  #ticks = 0;
  #pause = 1;

  constructor(link: Link, jetStream: JetStream, name: string, onEnd: () => void) {
    this.#link = link;
    this.#jetStream = jetStream;
    this.#name = name;
    this.#onEnd = onEnd;
    this.#number = link.add(this);
  }

  arrived(): void {
    // It waits for ticks only.
  }

  /** The cluster has changed: maybe it can keep the copies now. */
  lost(): void {
    this.#pause = 1;
  }

  tick(): void {
    if (this.#isAsking || !this.#link.isUp) return;
    this.#ticks += 1;
    if (this.#ticks < this.#pause) return;
    this.#ticks = 0;
    // Random, because other processes do the same.
    this.#pause = Math.min(pauseMax, this.#pause * (1.5 + Math.random()));
    void this.#try();
  }

  /** Several may do so at once: all ask for the same. Never rejects. */
  async #try(): Promise<void> {
    this.#isAsking = true;
    try {
      // An operator may have changed it meanwhile.
      const stream: unknown = await this.#jetStream.ask(`STREAM.INFO.${this.#name}`);
      const { config } = stream as Copied;
      if (lacksCopies(stream as Copied)) {
        const wanted = withCopies(config, copiesWanted);
        await this.#jetStream.ask(`STREAM.UPDATE.${this.#name}`, wanted);
      }
      this.#end();
      this.#onEnd();
    } catch (error) {
      // Who may not change streams leaves it to others, for good. Whoever makes it anew mends it, too.
      if (codeOf(error) === "PERMISSION") this.#end();
      else if (isRefusal(error, ErrorNumber.streamNotFound)) {
        this.#end();
        this.#onEnd();
      }
      // Else the cluster is too small still, or elects a leader.
    } finally {
      this.#isAsking = false;
    }
  }

  #end(): void {
    this.#link.remove(this.#number);
  }
}
