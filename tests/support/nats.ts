/**
 * The NATS server that the conformance suite shares, and what of the suite does not hold across machines.
 *
 * @module
 */
import { linksClosed } from "../../src/nats/link.ts";
import { afterEnd, isBare } from "./harness.ts";
import { hasNatsServer, startNatsServer } from "./nats_server.ts";

/** Whether the suite runs over NATS here. */
export const hasNats: boolean = !isBare && hasNatsServer();

// Outside of all tests, because it lives as long as this process.
const server = hasNats ? await startNatsServer() : null;

let targets = 0;

/** A target of the shared server that does not exist yet. */
export function newNatsTarget(): string {
  targets += 1;
  afterEnd(linksClosed);
  return `nats://${server!.address}/test-${targets}`;
}
