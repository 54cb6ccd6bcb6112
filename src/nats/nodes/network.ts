/**
 * Where nodes meet in NATS.
 *
 * @module
 */
import type { NatsOptions } from "../../base/nats_options.ts";
import { parseTarget, prefixOf, tokenOf, withoutLogin } from "../target.ts";
import type { LinkTerms } from "../link.ts";
import { checkNatsOptions } from "../options.ts";

/** A network, and the subjects of one group in it. */
export interface Network {
  readonly link: LinkTerms;
  /** What is for all nodes. */
  readonly all: string;
  /** What is for the node with an id. */
  mailboxOf(id: string): string;
  /** What any node takes from programs that are no nodes. */
  readonly text: string;
  /** What the node with an id takes from them. */
  textOf(id: string): string;
  /** Whether a subject is one of these. */
  has(subject: string): boolean;
}

const form = /^nats:\/\/[^/]+\/?$/;

/** @throws {TypeError} {RangeError} for an invalid network, or invalid options */
export function networkOf(network: string, group: string, options: NatsOptions): Network {
  const target = form.test(network) ? parsed(network) : null;
  if (target === null) {
    throw new TypeError(
      `Cannot use ${
        JSON.stringify(withoutLogin(network))
      } as network: give nats://HOST:PORT,HOST:PORT`,
    );
  }
  checkNatsOptions(options);
  const place = `${prefixOf(options)}.nodes.${tokenOf(group)}`;
  return {
    link: { target, options },
    all: `${place}.all`,
    mailboxOf: (id) => `${place}.to.${tokenOf(id)}`,
    text: `${place}.text`,
    textOf: (id) => `${place}.text.${tokenOf(id)}`,
    has: (subject) => subject.startsWith(`${place}.`),
  };
}

function parsed(network: string): LinkTerms["target"] | null {
  try {
    // A target of calls has a name.
    return parseTarget(`${network.replace(/\/$/, "")}/nodes`);
  } catch {
    return null;
  }
}
