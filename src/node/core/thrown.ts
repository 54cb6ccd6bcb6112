/**
 * What code of ports has thrown, as others get it.
 *
 * @module
 */
import { textOf } from "../../base/guard.ts";
import type { Thrown } from "../../codec/decoder.ts";
import { RemoteError } from "../../errors.ts";
import { FrameDecoder, type FrameLimits, giveEncoder, takeEncoder } from "../frames.ts";

/** A decoder that checks what was encoded. */
const checker = new FrameDecoder();

/** What another node has sent of a thrown value. */
export function remoteErrorOf({ isError, text, value, properties }: Thrown): RemoteError {
  if (!isError) return new RemoteError({ name: "Error", message: text, cause: value });
  const { name, message, stack, cause } = value as Error;
  return new RemoteError({ name, message, stack, properties, cause });
}

/** A thrown value as it would arrive at another node. Never throws. */
export function asRemoteError(thrown: unknown, limits: FrameLimits): RemoteError {
  for (const value of [thrown, new Error(textOf(thrown))]) {
    const encoder = takeEncoder();
    try {
      encoder.open(limits, 0, 2);
      encoder.thrown(value, false);
      const bytes = encoder.bytesOf();
      checker.open(limits, bytes, 0, bytes.byteLength);
      return remoteErrorOf(checker.thrown());
    } catch {
      // It cannot be read, or is too large: its text remains.
    } finally {
      checker.close();
      giveEncoder(encoder);
    }
  }
  return new RemoteError({ name: "Error", message: "a value that cannot be shown was thrown" });
}
