/**
 * `nats://` targets and the subjects that belong to them.
 *
 * @module
 */
import { describe } from "../base/checks.ts";
import type { NatsOptions } from "../base/nats_options.ts";

/** A target in its parts. */
export interface NatsTarget {
  /** Hosts with ports, as the client takes them. */
  readonly servers: readonly string[];
  readonly user: string | undefined;
  readonly pass: string | undefined;
  /** The name as one token of a subject. */
  readonly token: string;
}

/** The longest name in bytes of UTF-8. */
const nameBytesMax = 128;
const server = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::(\d{1,5}))?$/;
const form = /^nats:\/\/(?:([^/@]*)@)?([^/@]+)\/(.+)$/s;

/** Whether it looks like a target across machines. */
export function isNatsTarget(target: unknown): target is string {
  return typeof target === "string" && target.startsWith("nats:");
}

/** @throws {TypeError} for an invalid target */
export function parseTarget(target: string): NatsTarget {
  const [, login, list = "", name = ""] = form.exec(target) ?? [];
  const servers = list.split(",");
  if (!servers.every(isServer)) throw invalid(target);
  const { byteLength } = new TextEncoder().encode(name);
  if (byteLength === 0 || byteLength > nameBytesMax) throw invalid(target);
  const [user, pass] = (login ?? "").split(/:(.*)/s).map(percentDecoded);
  return { servers, user: user || undefined, pass: user ? pass : undefined, token: tokenOf(name) };
}

function isServer(text: string): boolean {
  const [whole, port = "4222"] = server.exec(text) ?? [];
  return whole !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function invalid(target: string): TypeError {
  return new TypeError(
    `Cannot use ${JSON.stringify(withoutLogin(target))} as a target: give ` +
      "nats://HOST:PORT,HOST:PORT/NAME, where the name has up to 128 bytes; write / and @ in a password as %2F and %40",
  );
}

/** A target as it may be shown: logs and errors must not tell passwords. */
export function withoutLogin(target: string): string {
  const [, , list] = form.exec(target) ?? [];
  // An invalid target does not tell where its password ends: hide all up to the last @.
  const login = list?.split(",").every(isServer) ? /^(nats:\/\/)[^/@]*@/ : /^([^:]*:\/\/).*@/s;
  return target.replace(login, "$1");
}

/**
 * A name as one token of a subject. Letters, digits, `-` and `_` stay; every other byte of its UTF-8 becomes
 * `=` and two hexadecimal digits. So no dot, `*`, `>` or space of a name acts as one in a subject, and no two
 * names have the same token.
 */
export function tokenOf(name: string): string {
  let token = "";
  for (const byte of new TextEncoder().encode(name)) {
    const character = String.fromCharCode(byte);
    token += /[A-Za-z0-9_-]/.test(character)
      ? character
      : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return token;
}

const prefixForm = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;

/**
 * The first part of all subjects.
 *
 * @throws {TypeError} for an invalid one
 */
export function prefixOf({ prefix = "tandem" }: NatsOptions): string {
  if (isPrefix(prefix)) return prefix;
  throw new TypeError(
    `Cannot use ${
      describe(prefix)
    } as prefix: give letters, digits, hyphens and underscores, in parts ` +
      "between dots",
  );
}

/** Whether subjects may begin with it. */
export function isPrefix(prefix: unknown): prefix is string {
  return typeof prefix === "string" && prefixForm.test(prefix) && prefix.length <= 128;
}

/** The queue group in which the services of a target are. */
export const queueGroup = "tandem";

/** Calls to any service of a target. */
export function callSubject(prefix: string, token: string): string {
  return `${prefix}.call.${token}`;
}

/** Messages to all services of a target. */
export function allSubject(prefix: string, token: string): string {
  return `${prefix}.all.${token}`;
}

/** The values of a topic. */
export function topicSubject(prefix: string, token: string): string {
  return `${prefix}.topic.${token}`;
}

/** The private path of one end. */
export function hostSubject(prefix: string, name: string): string {
  return `${prefix}.host.${name}`;
}
