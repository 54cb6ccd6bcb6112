/**
 * The calls over the channel to a child process that the runtime itself offers.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Connection } from "./contender.ts";
import { Queue } from "./frames.ts";

/** `advanced` copies structures, `json` sends text. */
export type Serialization = "advanced" | "json";

/** A child process that sends each message back, and at first the message that it is ready. */
export interface IpcChild {
  send(message: unknown): unknown;
}

/** Starts a child, and calls it once it is ready. */
export async function connectIpc(
  serialization: Serialization,
  start: (receive: (message: unknown) => void) => IpcChild,
): Promise<Connection> {
  const waiting = new Queue<(answer: unknown) => void>();
  const answer = (): Promise<unknown> => new Promise((resolve) => waiting.add(resolve));
  const ready = answer();
  const child = start((message) => waiting.take()(message));
  await ready;
  if (serialization === "advanced") {
    return {
      call: (payload) => {
        child.send(payload);
        return answer() as Promise<Uint8Array>;
      },
    };
  }
  // JSON has no bytes.
  return {
    call: async (payload) => {
      child.send(Buffer.from(payload.buffer).toString("base64"));
      return Buffer.from(await answer() as string, "base64");
    },
  };
}
