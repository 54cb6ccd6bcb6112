/**
 * The NATS server that the conformance suite shares, and what of the suite does not hold across machines.
 *
 * @module
 */
import { linksClosed } from "../../src/nats/link.ts";
import { lentGrace } from "../../src/rpc/lent_terms.ts";
import { afterEnd, isBare, runtime, sleep } from "./harness.ts";
import { hasNatsServer, startNatsServer } from "./nats_server.ts";

/** Whether the suite runs over NATS here. */
export const hasNats: boolean = !isBare && hasNatsServer();

// Outside of all tests, because it lives as long as this process.
const server = hasNats ? await startNatsServer() : null;

let targets = 0;

/**
 * Values that were lent end a little later than their calls, by timers that Deno would report. A cancel takes a
 * while on its way, so they may have begun when the test ends.
 */
async function lentValuesEnded(): Promise<void> {
  await linksClosed();
  if (runtime === "deno") await sleep(1.2 * lentGrace);
}

/** A target of the shared server that does not exist yet. */
export function newNatsTarget(): string {
  targets += 1;
  afterEnd(lentValuesEnded);
  return `nats://${server!.address}/test-${targets}`;
}
