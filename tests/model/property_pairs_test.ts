/** Random operations of two processes in every ordered pair of runtimes, compared with the model. */
import fc from "fast-check";
import { rmSync } from "node:fs";
import { type Child, newTarget, pairs, spawn, test } from "../support/harness.ts";
import { check, patience, replayPath } from "./check.ts";
import { commands, sizes } from "./commands.ts";
import { type Actor, isOfClient, type Operation, type Outcome } from "./operations.ts";
import { runSession } from "./session.ts";

/** Sends the clients' operations to one process, and the servers' to another. */
class Pair implements Actor {
  readonly #server: Child;
  readonly #client: Child;

  constructor(server: Child, client: Child) {
    this.#server = server;
    this.#client = client;
  }

  /** Both close their handles, and use `target` from now on. */
  async begin(target: string): Promise<void> {
    for (const child of [this.#client, this.#server]) await child.ask({ target });
  }

  perform(operation: Operation): Promise<Outcome> {
    return (isOfClient(operation) ? this.#client : this.#server).ask<Outcome>(operation);
  }
}

for (const { server, client, title } of pairs) {
  test(`${title}: two processes do what their model does`, async () => {
    const target = newTarget();
    const pair = new Pair(
      await spawn(server, "model_actor.ts"),
      await spawn(client, "model_actor.ts"),
    );
    await check(fc.asyncProperty(sizes, commands(60, replayPath), async (sizes, commands) => {
      await pair.begin(target);
      rmSync(target, { force: true });
      await runSession(target, sizes, commands, pair);
    }));
  }, { timeout: patience });
}
