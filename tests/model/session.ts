/**
 * One run of the commands, from a new channel to a channel at rest.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Client, Server } from "../../mod.ts";
import { digest, digestOf } from "./content.ts";
import { Model } from "./model.ts";
import type { Actor, Operation, Sizes } from "./operations.ts";

/** Does operations, lets the model check their outcomes, and keeps a record. */
export class Recorder {
  readonly #actor: Actor;
  readonly #record: string[] = [];

  constructor(actor: Actor) {
    this.#actor = actor;
  }

  /** Does one operation and awaits its consequences: the next one finds a channel at rest. */
  async perform(model: Model, operation: Operation): Promise<void> {
    await this.#performOne(model, operation);
    for (let next = model.nextEvent; next; next = model.nextEvent) {
      await this.#performOne(model, next);
    }
  }

  async #performOne(model: Model, operation: Operation): Promise<void> {
    this.#record.push(JSON.stringify(operation));
    const outcome = await this.#actor.perform(operation);
    this.#record.push(`    ${JSON.stringify(outcome)}`);
    model.observe(operation, outcome);
  }

  toString(): string {
    return this.#record.join("\n");
  }
}

/** Does the commands, and checks the leftovers. */
export async function runSession(
  target: string,
  sizes: Sizes,
  commands: Iterable<fc.AsyncCommand<Model, Recorder>>,
  actor: Actor,
): Promise<void> {
  const model = new Model(sizes);
  const recorder = new Recorder(actor);
  // The creator's handle is closed, so that counts of handles cover only the actors'.
  Server.create(target, { ...sizes }).close();
  try {
    await recorder.perform(model, { op: "openClient", client: "c0" });
    await recorder.perform(model, { op: "openServer", server: "s0" });
    await fc.asyncModelRun(() => ({ model, real: recorder }), commands);
    await leave(model, recorder);
    lookAtRest(target, model);
  } catch (error) {
    throw new Error(`${recorder}\n${(error as Error).message}`, { cause: error });
  }
}

/** Closes everything, the clients first. */
async function leave(model: Model, recorder: Recorder): Promise<void> {
  for (const [client, { isOpen }] of model.clients) {
    if (isOpen) await recorder.perform(model, { op: "closeClient", client });
  }
  for (const [server, { isOpen }] of model.servers) {
    if (isOpen) await recorder.perform(model, { op: "closeServer", server });
  }
}

/** Only posted requests outlive their senders. */
function lookAtRest(target: string, model: Model): void {
  using client = Client.open(target);
  using server = Server.open(target);
  const posted = model.inFlight;
  assertEquals(client.stats().inFlight, posted.length, "a slot is not free again");
  const found = server.tryReceiveMany().map(({ bytes }) => digest(bytes));
  const wanted = posted.map(({ content }) => digestOf(content));
  assertEquals(found.toSorted(), wanted.toSorted());
  server.clear();
  Server.unlink(target);
}
