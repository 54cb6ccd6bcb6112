/**
 * Shows messages to the program's `trace`.
 *
 * @module
 */
import type { Bytes } from "../../codec/writer.ts";
import { frameText } from "../frame_text.ts";
import type { TraceRecord } from "../options.ts";
import { runGuarded } from "./guarded.ts";

export function traceFrame(
  trace: (record: TraceRecord) => void,
  direction: "sent" | "got",
  node: string,
  bytes: Uint8Array,
): void {
  runGuarded(
    trace,
    "trace",
    () => trace({ direction, node, text: frameText(bytes as Bytes) }),
  );
}
