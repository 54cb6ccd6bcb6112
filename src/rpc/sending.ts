/**
 * Requests of typed calls.
 *
 * @module
 */
import type { AnswerReader } from "../channel/waiter.ts";
import type { ClientCore } from "../channel/client_core.ts";
import type { DraftCore } from "../channel/draft_core.ts";
import type { SendOptions } from "../channel/options.ts";
import { TandemError } from "../errors.ts";
import type { Encoder } from "../codec/encoder.ts";
import { copyMessage, messageBytes } from "./message.ts";

/**
 * Sends a sealed message; long byte strings are written straight into the slot, if one is free.
 *
 * @param roomTimeout how long to wait for a slot at most, in milliseconds
 * @throws {TandemError} what `request` throws before it waits
 */
export function sendMessage(
  client: ClientCore,
  encoder: Encoder,
  options: SendOptions | undefined,
  reader: AnswerReader,
  isBackground: boolean,
  roomTimeout: number = Infinity,
): void {
  if (encoder.blobs.length === 0) {
    return client.requestReading(encoder.written, options, reader, isBackground, roomTimeout);
  }
  const length = messageBytes(encoder);
  // In their order: what comes later may depend on what came before.
  const draft = client.hasRoomWaiters ? null : tryAllocate(client, length);
  if (draft) {
    copyMessage(encoder, draft.bytes);
    return draft.requestReading(options, reader);
  }
  // It has to wait for a slot, and what it was made of may change meanwhile.
  const message = new Uint8Array(length);
  copyMessage(encoder, message);
  client.requestReading(message, options, reader, isBackground, roomTimeout);
}

function tryAllocate(client: ClientCore, length: number): DraftCore | null {
  try {
    return client.allocate(length);
  } catch (error) {
    if (error instanceof TandemError && error.code === "BUSY") return null;
    throw error;
  }
}
