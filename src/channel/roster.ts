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
  readonly place: Place;
  /** How many boards it has published; 0: none. */
  readonly board: number;
}

/** A place in the table of participants, and the number of the participant that has it: no other ever had both. */
export interface Place {
  readonly position: number;
  readonly epochLow: number;
  readonly epochHigh: number;
}

/** Whether two places are one. */
export function isSamePlace(one: Place, other: Place): boolean {
  return one.position === other.position && one.epochLow === other.epochLow &&
    one.epochHigh === other.epochHigh;
}

/** A name for a place that no later one has: a position in the table is used again, an epoch is not. */
export function placeKey({ position, epochLow, epochHigh }: Place): string {
  return `${position} ${epochHigh} ${epochLow}`;
}

const roles = [null, "client", "server", null] as const;
const runtimes: readonly string[] = Object.keys(Runtime);

/** The living participants, in the order of their places in the table. */
export function membersOf(channel: Channel): Member[] {
  const { native, address, words } = channel;
  const found: Member[] = [];
  for (let position = 0;; position++) {
    const result = native.tandem_participant(address, position, words);
    if (result < 0) return found;
    const role = roles[result];
    if (role) found.push(memberIn(channel, position, role));
  }
}

/** The living participant at a place of the table. */
export function memberAt(channel: Channel, position: number): Member | null {
  const { native, address, words } = channel;
  const role = roles[Math.max(native.tandem_participant(address, position, words), 0)];
  return role ? memberIn(channel, position, role) : null;
}

function memberIn({ words, numbers }: Channel, position: number, role: Member["role"]): Member {
  return {
    ...peerIn(words),
    role,
    calls: words[Control.calls]!,
    privatePath: privatePath(words, position),
    place: placeIn(words, position),
    board: numbers[Control.board]!,
  };
}

/** Whether the participant that had this place has it still, and lives. */
export function isLiving({ native, address, words }: Channel, place: Place): boolean {
  return native.tandem_participant(address, place.position, words) > 0 &&
    words[Control.epochLow] === place.epochLow && words[Control.epochHigh] === place.epochHigh;
}

/** Whether a participant had this place that has left, or died, since. */
export function hasHad({ native, address, words }: Channel, place: Place): boolean {
  const role = native.tandem_participant(address, place.position, words);
  if (role < 0) return false;
  const [low, high] = [words[Control.epochLow]!, words[Control.epochHigh]!];
  if (low === place.epochLow && high === place.epochHigh) return role === 0;
  return place.epochHigh < high || (place.epochHigh === high && place.epochLow < low);
}

/** The place of the sender of the request in a slot, which this handle holds. */
export function senderPlace({ native, address, words }: Channel, slot: number): Place {
  return placeIn(words, native.tandem_sender(address, slot, words));
}

function placeIn(words: Uint32Array, position: number): Place {
  return {
    position,
    epochLow: words[Control.epochLow]!,
    epochHigh: words[Control.epochHigh]!,
  };
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
