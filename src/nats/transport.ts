/**
 * NATS as a transport: a target is a name that services of any machine share.
 *
 * @module
 */
import type { ChannelOptions } from "../base/channel_options.ts";
import type { NatsOptions } from "../base/nats_options.ts";
import { TandemError } from "../errors.ts";
import type {
  PrivateReceiver,
  Receiver,
  Requester,
  TopicEnd,
  TopicTerms,
  TopicTransport,
  Transport,
} from "../transport/transport.ts";
import { acquireLink, type Link, openLink } from "./link.ts";
import { checkNatsOptions } from "./options.ts";
import { NatsReceiver } from "./receiver.ts";
import { NatsRequester, type Path, type Places } from "./requester.ts";
import {
  allSubject,
  callSubject,
  hostSubject,
  type NatsTarget,
  parseTarget,
  prefixOf,
  topicSubject,
  withoutLogin,
} from "./target.ts";
import { NatsTopic } from "./topics.ts";
import { queueSubject, streamName } from "./work_queue/names.ts";

/** Names of private paths, as {@linkcode NatsReceiver} makes them. */
const privateName = /^[0-9a-f-]{36}(?:-\d{1,9})?$/;

/** The private paths of ends with that prefix. */
function placesOf(prefix: string, target: string): Places {
  const pathOf = (name: string): Path => {
    const subject = hostSubject(prefix, name);
    return { requests: subject, control: subject, isPrivate: true, queue: null };
  };
  const places: Places = {
    servePrivate(
      link: Link,
      place: string,
      options: ChannelOptions,
      count: number,
    ): PrivateReceiver {
      const name = count === 0 ? place : `${place}-${count}`;
      link.acquire();
      const receiver = new NatsReceiver(link, pathOf(name), places, target, options, null);
      return { name, receiver, remove: () => receiver.close() };
    },
    connectPrivate(link: Link, name: string): Requester {
      if (!privateName.test(name)) throw invalidName();
      link.acquire();
      return new NatsRequester(link, pathOf(name), places, target);
    },
  };
  return places;
}

function invalidName(): TandemError {
  return new TandemError(
    "CORRUPT",
    "Cannot read a message: it has an invalid name of a private path",
  );
}

export class NatsTransport implements Transport, TopicTransport {
  readonly isRemote = true;
  readonly #options: NatsOptions;
  readonly #prefix: string;
  /** The link that is being set up for {@linkcode connect}. */
  #opening: Link | null = null;

  /** @throws {TypeError} {RangeError} for invalid options */
  constructor(options: NatsOptions = {}) {
    checkNatsOptions(options);
    this.#options = options;
    this.#prefix = prefixOf(options);
  }

  serve(target: string, options: ChannelOptions): Receiver {
    const parsed = parseTarget(target);
    const { path, places } = this.#placesOf(parsed, target);
    const link = acquireLink({ target: parsed, options: this.#options });
    try {
      return new NatsReceiver(link, path, places, withoutLogin(target), options, parsed.token);
    } catch (error) {
      link.release();
      throw error;
    }
  }

  #placesOf({ token }: NatsTarget, target: string): { path: Path; places: Places } {
    const prefix = this.#prefix;
    const path = {
      requests: callSubject(prefix, token),
      control: allSubject(prefix, token),
      isPrivate: false,
      queue: { subject: queueSubject(prefix, token), name: () => streamName(prefix, token) },
    };
    return { path, places: placesOf(prefix, withoutLogin(target)) };
  }

  open(target: string): Requester {
    const parsed = parseTarget(target);
    const { path, places } = this.#placesOf(parsed, target);
    const link = openLink({ target: parsed, options: this.#options });
    if (link) return new NatsRequester(link, path, places, withoutLogin(target));
    throw new TandemError("NOT_FOUND", "The link to NATS is not up yet");
  }

  async connect(target: string, signal: AbortSignal): Promise<Requester> {
    const parsed = parseTarget(target);
    const { path, places } = this.#placesOf(parsed, target);
    const link = acquireLink({ target: parsed, options: this.#options });
    this.#opening = link;
    try {
      await link.opened(signal);
      return new NatsRequester(link, path, places, withoutLogin(target));
    } catch (error) {
      link.release();
      throw error;
    } finally {
      if (this.#opening === link) this.#opening = null;
    }
  }

  obstacle(): TandemError | null {
    return this.#opening?.obstacle ?? null;
  }

  openTopic(target: string, { maxBytes }: TopicTerms): TopicEnd {
    const parsed = parseTarget(target);
    const subject = topicSubject(this.#prefix, parsed.token);
    const terms = { target: parsed, options: this.#options };
    return new NatsTopic(() => acquireLink(terms), subject, withoutLogin(target), maxBytes);
  }
}
