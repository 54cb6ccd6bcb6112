/**
 * Answers what NATS's own tools ask services (`nats micro ls`): `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS`.
 *
 * @module
 */
import { now } from "../runtime/timers.ts";
import { ownPeer } from "../transport/own_peer.ts";
import type { ClientMessage } from "./client.ts";
import { type Link, LinkSubscription } from "./link.ts";
import { queueGroup } from "./target.ts";

/** A service, as the tools see it. */
export interface ServicePlace {
  /** A token of a subject. */
  readonly name: string;
  readonly id: string;
  /** Where it takes calls. */
  readonly subject: string;
}

/** Its numbers, which go on changing. */
export interface ServiceCounts {
  readonly requests: number;
  readonly replies: number;
  readonly failures: number;
  readonly workedFor: number;
}

const verbs = ["PING", "INFO", "STATS"] as const;
type Verb = typeof verbs[number];

const types: Readonly<Record<Verb, string>> = {
  PING: "io.nats.micro.v1.ping_response",
  INFO: "io.nats.micro.v1.info_response",
  STATS: "io.nats.micro.v1.stats_response",
};

export class Monitoring {
  readonly #link: Link;
  readonly #place: ServicePlace;
  readonly #counts: ServiceCounts;
  readonly #started: string = new Date().toISOString();
  readonly #startedAt: number = now();
  readonly #subscriptions: LinkSubscription[] = [];

  constructor(link: Link, place: ServicePlace, counts: ServiceCounts) {
    this.#link = link;
    // The tools allow no other characters in names.
    this.#place = { ...place, name: place.name.replaceAll("=", "_") };
    this.#counts = counts;
    const { name, id } = this.#place;
    for (const verb of verbs) {
      for (const end of ["", `.${name}`, `.${name}.${id}`]) {
        const subscription = new LinkSubscription(
          `$SRV.${verb}${end}`,
          undefined,
          (_, message) => this.#answer(verb, message),
          // Users without this right do without the tools.
          () => {},
        );
        this.#subscriptions.push(subscription);
        link.subscribe(subscription);
      }
    }
  }

  #answer(verb: Verb, { reply }: ClientMessage): void {
    if (reply) this.#link.answer(reply, new TextEncoder().encode(JSON.stringify(this.#text(verb))));
  }

  #text(verb: Verb): object {
    const { name, id, subject } = this.#place;
    const { pid, runtime } = ownPeer();
    const all = {
      type: types[verb],
      name,
      id,
      version: "0.0.0",
      metadata: { package: "@tandem/ipc", runtime, pid: String(pid) },
    };
    const endpoint = { name: "call", subject, queue_group: queueGroup };
    if (verb === "PING") return all;
    if (verb === "INFO") {
      return {
        ...all,
        description: "A service of @tandem/ipc",
        endpoints: [{ ...endpoint, metadata: {} }],
      };
    }
    const { requests, replies, failures, workedFor } = this.#counts;
    const nanoseconds = workedFor * 1e6;
    const numbers = {
      num_requests: requests,
      num_errors: failures,
      last_error: "",
      processing_time: Math.round(nanoseconds),
      average_processing_time: Math.round(nanoseconds / Math.max(1, replies + failures)),
      data: { uptime_milliseconds: Math.round(now() - this.#startedAt) },
    };
    return { ...all, started: this.#started, endpoints: [{ ...endpoint, ...numbers }] };
  }

  close(): void {
    for (const subscription of this.#subscriptions) this.#link.unsubscribe(subscription);
  }
}
