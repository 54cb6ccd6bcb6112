/**
 * This process, as the other end of a request sees it.
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
