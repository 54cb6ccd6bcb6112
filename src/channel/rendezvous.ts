/**
 * Channels at which participants only find each other: they send nothing there.
 *
 * @module
 */
import type { ChannelOptions } from "../base/channel_options.ts";

/** The options of such a channel. `mode` is that of its file, for the participant that makes it. */
export function rendezvous(mode: number | undefined): ChannelOptions {
  return {
    slots: 1,
    maxRequestBytes: 0,
    maxResponseBytes: 0,
    maxDeliveries: 1,
    ...(mode !== undefined && { mode }),
  };
}
