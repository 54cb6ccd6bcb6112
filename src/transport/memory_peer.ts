/**
 * The process that sends every request of the memory transport: this one.
 *
 * @module
 */
import type { Peer } from "../base/peer.ts";
import { backend } from "../runtime/current.ts";

let own: Peer | null = null;

/** This process. */
export function ownPeer(): Peer {
  if (own) return own;
  const { pid, uid, name: runtime } = backend();
  return own = Object.freeze({ pid, uid, runtime });
}
