/**
 * What code of ports has thrown, as others get it.
 *
 * @module
 */
import { textOf } from "../../base/guard.ts";
import { ErrorClasses } from "../../codec/error_classes.ts";
import { RemoteError } from "../../errors.ts";
import { thrownError } from "../../rpc/replies.ts";
import { FrameDecoder, type FrameLimits, giveEncoder, takeEncoder } from "../frames.ts";

/** A decoder that checks what was encoded. */
const checker = new FrameDecoder();
/** No error keeps its class. */
const noClasses = new ErrorClasses();

/** A thrown value as it would arrive at another node. Never throws. */
export function asRemoteError(thrown: unknown, limits: FrameLimits): RemoteError {
  for (const value of [thrown, new Error(textOf(thrown))]) {
    const encoder = takeEncoder();
    try {
      encoder.open(limits, 0, 2);
      encoder.thrown(value, false);
      const bytes = encoder.bytesOf();
      checker.open(limits, bytes, 0, bytes.byteLength);
      return thrownError(checker.thrown(), noClasses) as RemoteError;
    } catch {
      // It cannot be read, or is too large: its text remains.
    } finally {
      checker.close();
      giveEncoder(encoder);
    }
  }
  return new RemoteError({ name: "Error", message: "a value that cannot be shown was thrown" });
}
