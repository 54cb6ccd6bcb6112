/**
 * The carrier of a node that knows no other.
 *
 * @module
 */
import type { Carrier, NodeInfo } from "./carrier.ts";

export class LoneCarrier implements Carrier {
  send(): boolean {
    return false;
  }

  queued(): { messages: number; bytes: number } {
    return { messages: 0, bytes: 0 };
  }

  whenRoom(): Promise<boolean> {
    return Promise.resolve(false);
  }

  isUp(): boolean {
    return false;
  }

  nodes(): readonly NodeInfo[] {
    return [];
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
