/**
 * The participants of a channel, for display and for addressing.
 *
 * @module
 */
import { type Participant, type Peer, unknownPeer } from "../base/peer.ts";
import { Control, Runtime } from "../ffi/layout.ts";
import type { Channel } from "./channel.ts";

/** A living participant of a channel, and where it can be reached alone. */
export interface Member extends Participant {
  /** The name of its private channel, if it has one. */
  readonly privatePath: string;
  /** Its place in the table, and the two halves of a number: together they stand for it and no other. */
  readonly position: number;
  readonly epochLow: number;
  readonly epochHigh: number;
  /** How many boards it has published; 0: none. */
  readonly board: number;
}

const roles = [null, "client", "server", null] as const;
const runtimes: readonly string[] = Object.keys(Runtime);

/** The living participants, in the order of their places in the table. */
export function membersOf(channel: Channel): Member[] {
  const { native, address, words, numbers } = channel;
  const found: Member[] = [];
  for (let position = 0;; position++) {
    const result = native.tandem_participant(address, position, words);
    if (result < 0) return found;
    const role = roles[result];
    if (role) {
      found.push({
        ...peerIn(words),
        role,
        calls: words[Control.calls]!,
        privatePath: privatePath(words, position),
        position,
        epochLow: words[Control.epochLow]!,
        epochHigh: words[Control.epochHigh]!,
        board: numbers[Control.board]!,
      });
    }
  }
}

/** The sender of the request in a slot, which this handle holds. */
export function senderOf({ native, address, words }: Channel, slot: number): Peer {
  const position = native.tandem_sender(address, slot, words);
  const low = words[Control.epochLow]!;
  const high = words[Control.epochHigh]!;
  const isKnown = native.tandem_participant(address, position, words) >= 0 &&
    words[Control.epochLow] === low && words[Control.epochHigh] === high;
  return isKnown ? Object.freeze(peerIn(words)) : unknownPeer;
}

function peerIn(words: Uint32Array): Peer {
  const runtime = (runtimes[words[Control.runtime]!] ?? "unknown") as Peer["runtime"];
  return { pid: words[Control.pid]!, uid: words[Control.uid]!, runtime };
}

/** See native/platform/bells/private.zig. */
function privatePath(words: Uint32Array, position: number): string {
  const epoch = hexadecimal(words[Control.epochHigh]!, words[Control.epochLow]!);
  const channel = hexadecimal(words[Control.channelHigh]!, words[Control.channelLow]!);
  return `u${words[Control.uid]}/p${position}-${epoch}-${channel}`;
}

function hexadecimal(high: number, low: number): string {
  return ((BigInt(high) << 32n) | BigInt(low)).toString(16);
}
