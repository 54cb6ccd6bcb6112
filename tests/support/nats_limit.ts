/**
 * Limits across machines: the NATS server that their tests share, with JetStream.
 *
 * @module
 */
import { Limit, type LimitOptions } from "../../src/limit/main.ts";
import { limitsSettled } from "../../src/nats/limit/farewells.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { afterEnd, atEnd, eventually, isBare, sleep } from "./harness.ts";
import { hasNatsServer, type NatsServer, startNatsServer, withJetStream } from "./nats_server.ts";

/** Why they do not run here; null: they do. */
export const noNats: string | null = !isBare && hasNatsServer() ? null : "no nats-server";

// Outside of all tests, because it lives as long as this process.
const server = noNats === null ? await startNatsServer(withJetStream) : null;

let targets = 0;

/** What has been released or closed has told the server. */
export async function allSaid(): Promise<void> {
  await limitsSettled();
  // Links close in the turn after that.
  await sleep(0);
  await linksClosed();
}

/** A limit that does not exist yet. */
export function newNatsLimit(on: NatsServer = server!): string {
  targets += 1;
  afterEnd(allSaid);
  return `nats://${on.address}/limit-${targets}`;
}

/** Contenders of this process, which are closed when the test ends. */
export function natsLimits(
  count: number,
  options: LimitOptions = {},
  target: string = newNatsLimit(),
): Limit[] {
  return Array.from({ length: count }, () => {
    const limit = new Limit(target, options);
    atEnd(() => Promise.resolve(limit.close()));
    return limit;
  });
}

/** Who holds and who waits as an object sees it; null: it does not know. */
export function seen(limit: Limit): { readonly holders: number; readonly waiters: number } | null {
  try {
    return { holders: limit.holders().length, waiters: limit.waiters().length };
  } catch {
    return null;
  }
}

/** Waits until an object sees so many. */
export async function sees(limit: Limit, holders: number, waiters: number): Promise<void> {
  await eventually(() => {
    const found = seen(limit);
    return found?.holders === holders && found.waiters === waiters;
  }, `${holders} hold and ${waiters} wait for ${limit.target}`);
}
