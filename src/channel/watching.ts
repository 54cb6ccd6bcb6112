/**
 * Descriptors of a channel in the runtime's event loop.
 *
 * @module
 */
import type { Watch } from "../runtime/backend.ts";
import type { Channel } from "./channel.ts";

/**
 * A callback for the runtime that does not keep `owner` alive. It is made here, where no `this` is in
 * reach that its closure could keep.
 */
export function weakly<T extends object>(owner: WeakRef<T>, body: (owner: T) => void): () => void {
  return () => {
    const found = owner.deref();
    if (found) body(found);
  };
}

/** Gives a descriptor to the event loop. Null: the runtime refuses it. */
export function openWatch(
  channel: Channel,
  fd: number,
  onReadable: () => void,
  onHangup: () => void,
): Watch | null {
  return kept(channel, ({ backend }) => backend.watch(fd, onReadable, onHangup));
}

/** As `openWatch`, for a pipe whose other end a participant holds while it lives. */
export function openDeathWatch(channel: Channel, fd: number, onHangup: () => void): Watch | null {
  return kept(channel, ({ backend }) => backend.watchHangup(fd, onHangup));
}

function kept(channel: Channel, open: (channel: Channel) => Watch): Watch | null {
  try {
    const watch = open(channel);
    channel.watches.add(watch);
    return watch;
  } catch {
    return null;
  }
}
