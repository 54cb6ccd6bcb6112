/**
 * Both ends in one thread, so that nothing waits: the cost of a call without another process. The forms are
 * those of the predecessor's table: bytes, integers, and bytes in batches of 100.
 *
 * @module
 */
import type { BlockingCall } from "../lib/calling.ts";
import { Client, IntClient, IntServer, Server } from "../../mod.ts";
import type { Contender } from "./contender.ts";

/** Calls in a batch. A batch counts as so many calls. */
export const batchSize = 100;

export const contender: Contender = {
  connect() {
    return {
      blocking: (form, bytes) => {
        if (form === "int") return echoInt();
        return form === "batch" ? echoBatch(bytes) : echo(bytes);
      },
    };
  },
};

function echo(bytes: number): BlockingCall {
  return changing(bytes, (client, server, payload) => {
    const call = client.trySend(payload);
    const request = server.tryReceive();
    request?.reply(request.bytes);
    checkAnswer(call?.tryGet(), payload);
  });
}

function echoInt(): BlockingCall {
  const server = IntServer.anonymous();
  const client = IntClient.fromFd(server.fd);
  let count = 0n;
  return () => {
    count += 1n;
    const call = client.trySend(count);
    const request = server.tryReceive();
    request?.reply(request.value);
    if (call?.tryGet() !== count) throw new Error("Not an echo");
  };
}

function echoBatch(bytes: number): BlockingCall {
  return changing(bytes, (client, server, payload) => {
    const calls = Array.from({ length: batchSize }, () => client.trySend(payload));
    for (const request of server.tryReceiveMany(batchSize)) request.reply(request.bytes);
    for (const call of calls) checkAnswer(call?.tryGet(), payload);
  });
}

/** Runs `echo` with a payload that differs from one call to the next. */
function changing(
  bytes: number,
  echo: (client: Client, server: Server, payload: Uint8Array<ArrayBuffer>) => void,
): BlockingCall {
  const server = Server.anonymous();
  const client = Client.fromFd(server.fd);
  const payload = new Uint8Array(bytes);
  let count = 0;
  return () => {
    payload[0] = ++count;
    echo(client, server, payload);
  };
}

function checkAnswer(answer: Uint8Array | null | undefined, payload: Uint8Array): void {
  if (answer?.byteLength !== payload.byteLength || answer[0] !== payload[0]) {
    throw new Error("Not an echo");
  }
}
