/**
 * Who a node is, as it tells others in the first message of each stream: it may be gone before they read its board.
 *
 * @module
 */
import type { NodeInfo } from "../carrier.ts";
import { checkNodeId, checkNodeName } from "../ids.ts";
import { Control } from "./batch.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const pidForm = /^[0-9]{1,10}$/;
const runtimeForm = /^[a-z]{1,16}$/;
const bytesMax = 256;

/** As the message of a stream. */
export function encodeGreeting({ id, name, pid, runtime }: NodeInfo): Uint8Array {
  const lines = [`${String.fromCharCode(Control.hello)}${id}`, name, `${pid}`, runtime];
  return encoder.encode(lines.join("\n"));
}

/** Null: it is none. */
export function decodeGreeting(message: Uint8Array): NodeInfo | null {
  if (message[0] !== Control.hello || message.byteLength > bytesMax) return null;
  try {
    const lines = decoder.decode(message.subarray(1)).split("\n");
    const [id = "", name = "", pid = "", runtime = ""] = lines;
    if (lines.length !== 4 || !pidForm.test(pid) || !runtimeForm.test(runtime)) return null;
    checkNodeId(id);
    checkNodeName(name);
    return { id, name, pid: Number(pid), runtime };
  } catch {
    return null;
  }
}
