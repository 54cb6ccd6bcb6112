/**
 * Typed calls across machines, through NATS. `serve` and `connect` of the main entry take `nats://` targets, and
 * load the NATS client when they get the first one. Importing this entry loads it at once, so that bundlers
 * find it.
 *
 * The client is a package of its own: install `@nats-io/transport-node` and `@nats-io/nats-core`.
 *
 * @module
 */
import { loadClient } from "./client.ts";

export type { NatsOptions } from "../base/nats_options.ts";

/**
 * Resolves when the NATS client is loaded.
 *
 * @throws {TandemError} `UNSUPPORTED` where it is not installed
 */
export async function loadNats(): Promise<void> {
  await loadClient();
}

void loadClient().catch(() => {});
