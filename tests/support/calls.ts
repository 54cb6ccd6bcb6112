/** Calls, or steps of them, that have to succeed. */
import { assertEquals } from "@std/assert";
import { type Call, Client, type Payload, Server, type ServerRequest } from "../../mod.ts";
import { eventually, present, text } from "./harness.ts";

/** Sends without waiting, and has to succeed. */
export function send(client: Client, payload: Payload): Call {
  return present(client.trySend(payload));
}

/** Takes a request, which has to be queued. */
export function take(server: Server): ServerRequest {
  return present(server.tryReceive());
}

/** A call that sleeps on both sides, so that bells are used. */
export async function callAsleep(target: string): Promise<void> {
  using server = Server.open(target);
  using client = Client.open(target);
  const answer = client.request("x");
  await eventually(() => server.stats().waitingClients > 0, "the client sleeps");
  (await server.receive())!.reply("y");
  assertEquals(text(await answer), "y");
}
