/**
 * Boards. Each participant of a channel may publish one: bytes that all others can read. A board is replaced as a
 * whole, and goes with its participant. It is a file beside the participant's bells.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { boardBytesMax, Control, Status } from "../ffi/layout.ts";
import { type Channel, checkOpen } from "./channel.ts";
import { callFailure, openFailure } from "./failure.ts";
import type { HandleCore } from "./handle_core.ts";
import type { Member } from "./roster.ts";

/** The longest board: 16 MiB. */
export { boardBytesMax };

/** How often a board is read anew when it becomes longer meanwhile. */
const attemptsMax = 16;

/**
 * Publishes the board of this handle's participant, in place of an earlier one, and wakes those that follow boards.
 *
 * @throws {TandemError} `TOO_LARGE` beyond {@linkcode boardBytesMax}; `NO_SPACE` when the file system is full: the
 * earlier board stays; `PERMISSION` when this participant has no folder of its own; `CLOSED`
 */
export function writeBoard({ channel }: HandleCore, bytes: Uint8Array): void {
  checkOpen(channel, "handle");
  const { native, address, words } = channel;
  const status = native.tandem_board_write(address, bytes, bytes.byteLength, words);
  if (status === -Status.tooLarge) {
    throw new TandemError(
      "TOO_LARGE",
      `Cannot publish a board of ${bytes.byteLength} bytes: ${boardBytesMax} are the most`,
    );
  }
  if (status === -Status.noSpace) throw callFailure(status, "publish a board");
  if (status < 0) throw openFailure(status, "publish a board", channel);
}

/**
 * The board of a participant, at least as new as `member.board` says; null when it has none, is gone, or its file makes
 * no sense. Whatever another user has put there: it is read only if it is a file of the participant's user.
 *
 * @throws {TandemError} `CLOSED`
 */
export function readBoard({ channel }: HandleCore, member: Member): Uint8Array<ArrayBuffer> | null {
  checkOpen(channel, "handle");
  let buffer = new Uint8Array(4096);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const length = readInto(channel, member, buffer);
    if (length >= 0) return buffer.slice(0, length);
    if (length !== -Status.longer) return null;
    buffer = new Uint8Array(channel.words[Control.length]!);
  }
  return null;
}

/**
 * As {@linkcode readBoard}, the first bytes only.
 *
 * @param room how many bytes at most
 * @throws {TandemError} `CLOSED`
 */
export function readBoardStart(
  { channel }: HandleCore,
  member: Member,
  room: number,
): Uint8Array<ArrayBuffer> | null {
  checkOpen(channel, "handle");
  const buffer = new Uint8Array(room);
  const length = readInto(channel, member, buffer);
  if (length >= 0) return buffer.subarray(0, length);
  return length === -Status.longer ? buffer : null;
}

function readInto(channel: Channel, { place }: Member, buffer: Uint8Array<ArrayBuffer>): number {
  const { native, address, words } = channel;
  const { position, epochLow, epochHigh } = place;
  const room = buffer.byteLength;
  return native.tandem_board_read(address, position, epochLow, epochHigh, buffer, room, words);
}

/**
 * How often boards were published on the channel. As long as it is the same, so is {@linkcode Member.board} of all
 * members; a handle that {@linkcode followBoards} is woken when it changes.
 */
export function countBoards({ channel }: HandleCore): number {
  checkOpen(channel, "handle");
  return channel.native.tandem_boards(channel.address);
}

/**
 * From now on the listener of `watchMembers`, which the handle has to have, also runs whenever a board may have been
 * published.
 */
export function followBoards({ channel }: HandleCore): void {
  checkOpen(channel, "handle");
  channel.native.tandem_follow_boards(channel.address);
}

/** From now on it only runs for participants that come and go. */
export function unfollowBoards({ channel }: HandleCore): void {
  if (channel.isOpen) channel.native.tandem_unfollow_boards(channel.address);
}
