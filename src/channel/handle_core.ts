/**
 * The work of a {@linkcode ChannelHandle}: the common part of servers and clients.
 *
 * @module
 */
import { checkWhole } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import { StatField } from "../ffi/layout.ts";
import { type Channel, checkOpen, openPrivateChannel } from "./channel.ts";
import { openFailure } from "./failure.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { isLiving, type Member, membersOf, type Place } from "./roster.ts";
import type { Stats } from "../base/stats.ts";

/** The side of a channel that a handle is on. */
export type Role = "server" | "client";

export class HandleCore {
  readonly channel: Channel;
  readonly path: string | null;
  readonly slots: number;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  readonly maxDeliveries: number;
  readonly #role: Role;

  constructor(channel: Channel, role: Role) {
    this.channel = channel;
    this.path = channel.path;
    this.slots = channel.slots;
    this.maxRequestBytes = channel.maxRequestBytes;
    this.maxResponseBytes = channel.maxResponseBytes;
    this.maxDeliveries = channel.maxDeliveries;
    this.#role = role;
  }

  /** A descriptor of the channel, which is closed with this handle. */
  get fd(): number {
    checkOpen(this.channel, this.#role);
    const { native, address, words } = this.channel;
    const fd = native.tandem_fd(address, words);
    if (fd >= 0) return fd;
    throw openFailure(fd, "get a descriptor of the channel", this.channel);
  }

  stats(): Stats {
    checkOpen(this.channel, this.#role);
    const names = Object.keys(StatField) as (keyof Stats)[];
    const numbers = new Float64Array(names.length);
    this.channel.native.tandem_stats(this.channel.address, numbers);
    const entries = names.map((name) => [name, numbers[StatField[name]]!]);
    return Object.fromEntries(entries) as Stats;
  }

  /** The living participants, in the order of their places in the table. */
  members(): Member[] {
    checkOpen(this.channel, this.#role);
    return membersOf(this.channel);
  }

  /** Whether the participant that had this place has it still, and lives. */
  isLiving(place: Place): boolean {
    checkOpen(this.channel, this.#role);
    return isLiving(this.channel, place);
  }

  /** Server handles that are open on the channel. */
  get servers(): number {
    checkOpen(this.channel, this.#role);
    return this.channel.native.tandem_servers(this.channel.address);
  }

  /** How many participants have ever joined, without the quiet ones; below 0: the channel has ended. */
  get joins(): number {
    checkOpen(this.channel, this.#role);
    return this.channel.native.tandem_joins(this.channel.address);
  }

  /**
   * How often a participant has died and was repaired, or has left. Of those, {@linkcode members} no longer knows.
   * It may count one death twice.
   */
  get departures(): number {
    checkOpen(this.channel, this.#role);
    return this.channel.native.tandem_departures(this.channel.address);
  }

  /** Looks for participants that have died, and repairs what they have left. */
  sweep(): void {
    checkOpen(this.channel, this.#role);
    this.channel.native.tandem_sweep(this.channel.address);
  }

  get notifyFd(): number {
    checkOpen(this.channel, this.#role);
    const fd = this.channel.native.tandem_notify_fd(this.channel.address);
    if (fd >= 0) return fd;
    throw new TandemError(
      "PERMISSION",
      "Cannot make a notify descriptor: the folder for bells beside the channel cannot be written; " +
        "check its owner and mode",
    );
  }

  drainNotify(): void {
    checkOpen(this.channel, this.#role);
    this.channel.native.tandem_drain_notify(this.channel.address);
  }

  /** @param peer 1: the descriptor of the handles on the other side; 0: of this one */
  adoptNotifyFd(fd: number, peer: 0 | 1): void {
    checkOpen(this.channel, this.#role);
    checkWhole(fd, "fd", 0, 2 ** 31 - 1);
    if (this.channel.native.tandem_adopt_notify(this.channel.address, fd, peer) === 0) return;
    throw new TandemError("CORRUPT", `Cannot adopt file descriptor ${fd}: it is not open`);
  }

  notify(): void {
    checkOpen(this.channel, this.#role);
    this.channel.native.tandem_notify(this.channel.address);
  }

  /** Opens a private channel: a server that of this handle's own participant, a client that of another. */
  openPrivate(role: Role, name: string, options: ChannelOptions, flags: number = 0): Channel {
    checkOpen(this.channel, this.#role);
    return openPrivateChannel(role, this.channel, name, options, flags);
  }

  /** Removes the private channel of this handle's participant. */
  forgetPrivate(): void {
    if (this.channel.isOpen) this.channel.native.tandem_forget_private(this.channel.address);
  }

  /** Ends the channel for all its participants: calls in flight end, and further ones are refused. */
  endChannel(): void {
    if (this.channel.isOpen) this.channel.native.tandem_remove(this.channel.address);
  }
}
