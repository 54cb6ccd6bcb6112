/** Steps of a call that have to succeed without waiting. */
import type { Call, Client, Payload, Server, ServerRequest } from "../../mod.ts";
import { present } from "./harness.ts";

/** Sends without waiting, and has to succeed. */
export function send(client: Client, payload: Payload): Call {
  return present(client.trySend(payload));
}

/** Takes a request, which has to be queued. */
export function take(server: Server): ServerRequest {
  return present(server.tryReceive());
}
