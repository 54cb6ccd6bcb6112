/**
 * One open participant of a channel.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Backend, Watch } from "../runtime/backend.ts";
import {
  Control,
  controlBytes,
  openAnonymous,
  openCreateNew,
  openFromFd,
  openKindLimit,
  openOrCreate,
  openPrivate,
  openQuiet,
  openRoleServer,
  pathBytesMax,
} from "../ffi/layout.ts";
import { backend } from "../runtime/current.ts";
import { native } from "../ffi/load.ts";
import type { Native } from "../ffi/symbols.ts";
import { type ControlBlock, openFailure } from "./failure.ts";
import { type Geometry, type HandedOut, Memory } from "./memory.ts";
import { checkWhole, describe } from "../base/checks.ts";
import { encodeOptions } from "./open_options.ts";
import type { ChannelOptions } from "../base/channel_options.ts";

/** The ways to open a channel. */
export const OpenMode: Readonly<
  Record<
    "attach" | "openOrCreate" | "createNew" | "anonymous" | "fromFd" | "limit" | "quiet",
    number
  >
> = {
  attach: 0,
  openOrCreate,
  createNew: openCreateNew,
  anonymous: openAnonymous,
  fromFd: openFromFd,
  limit: openOrCreate | openKindLimit,
  quiet: openQuiet,
};

/** An open channel, as all operations use it. */
export interface Channel extends ControlBlock {
  readonly backend: Backend;
  readonly native: Native;
  /** The native handle. */
  readonly address: number;
  readonly memory: Memory;
  readonly path: string | null;
  readonly slots: number;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  readonly maxDeliveries: number;
  /** The descriptors in its event loop, which close with it. */
  readonly watches: Set<Watch>;
  isOpen: boolean;
}

const encoder = new TextEncoder();

/** The parts of a channel that have to be closed. They do not keep the channel's object alive. */
interface Opened {
  readonly native: Native;
  readonly address: number;
  readonly watches: Set<Watch>;
  readonly views: HandedOut;
  readonly channel: WeakRef<Channel>;
}

/** An orderly end of the process leaves these channels, so that their requests go on at once. */
const openChannels: Map<number, Opened> = new Map();
let isExitWatched = false;

/** Closes channels of which the program has no handle, request, call or view of the memory any more. */
const forgotten: FinalizationRegistry<Opened> = new FinalizationRegistry(abandon);

function remember(channel: Channel, views: HandedOut): void {
  const { native, address, watches } = channel;
  const opened = { native, address, watches, views, channel: new WeakRef(channel) };
  openChannels.set(address, opened);
  forgotten.register(channel, opened, channel);
  if (isExitWatched) return;
  isExitWatched = true;
  channel.backend.onExit(() => {
    // The youngest first: a private channel lies in the folder of its main channel.
    for (const open of [...openChannels.values()].reverse()) {
      const channel = open.channel.deref();
      if (channel) closeChannel(channel);
      else abandon(open);
    }
  });
}

function abandon(opened: Opened): void {
  const { native, address, watches, views } = opened;
  if (openChannels.get(address) !== opened) return;
  openChannels.delete(address);
  for (const watch of watches) watch.close();
  // Threads of the runtime may still read memory that no object refers to.
  native.tandem_close(address, views.exist ? 1 : 0);
}

/** A control block for an operation without a handle. */
function newControl(): ControlBlock {
  const buffer = new ArrayBuffer(controlBytes);
  return { words: new Uint32Array(buffer), numbers: new Float64Array(buffer) };
}

/** Opens a channel in the role of a server or of a client. */
export function openChannel(
  role: "server" | "client",
  target: string,
  mode: number,
  options: ChannelOptions = {},
  fd: number = NaN,
  main: number = NaN,
): Channel {
  const encoded = encodeOptions(options, fd, main);
  const bytes = encodeTarget(target);
  const library = native();
  const control = newControl();
  const path = new Uint8Array(pathBytesMax);
  const operation = mode | (role === "server" ? openRoleServer : 0);
  const { words, numbers } = control;
  const status = library.tandem_open(bytes, bytes.byteLength, operation, encoded, words, path);
  if (status < 0) {
    const noun = mode & openKindLimit ? "limit" : "channel";
    throw openFailure(status, triedToOpen(role, target, mode, fd), control, noun);
  }
  const pathLength = words[Control.pathLength]!;
  const geometry: Geometry = {
    base: numbers[Control.base]!,
    slots: words[Control.slots]!,
    denseBytes: numbers[Control.denseBytes]!,
    slotsOffset: numbers[Control.slotsOffset]!,
    areaStride: numbers[Control.areaStride]!,
    responseOffset: numbers[Control.responseOffset]!,
  };
  const views: HandedOut = { exist: false };
  const memory = new Memory(backend(), geometry, views);
  const channel: Channel = {
    backend: backend(),
    native: library,
    words,
    numbers,
    address: numbers[Control.handle]!,
    memory,
    path: pathLength > 0 ? new TextDecoder().decode(path.subarray(0, pathLength)) : null,
    slots: geometry.slots,
    maxRequestBytes: words[Control.maxRequestBytes]!,
    maxResponseBytes: words[Control.maxResponseBytes]!,
    maxDeliveries: words[Control.maxDeliveries]!,
    watches: new Set(),
    isOpen: true,
  };
  memory.owner = channel;
  remember(channel, views);
  return channel;
}

/** Opens the channel behind a descriptor; `kind` is 0 or `openKindInt`. */
export function openChannelFromFd(role: "server" | "client", fd: number, kind = 0): Channel {
  return openChannel(role, "", OpenMode.fromFd | kind, {}, checkWhole(fd, "fd", 0, 2 ** 31 - 1));
}

/**
 * Opens a private channel of `main`: a server as its host, a client as another participant.
 *
 * @param flags 0, or `openQuiet` for a client
 */
export function openPrivateChannel(
  role: "server" | "client",
  main: Channel,
  name: string,
  options: ChannelOptions,
  flags: number = 0,
): Channel {
  const mode = flags | openPrivate | (role === "server" ? openCreateNew : 0);
  return openChannel(role, name, mode, options, NaN, main.address);
}

function triedToOpen(role: string, target: string, mode: number, fd: number): string {
  if (mode & openFromFd) return `open a ${role} on file descriptor ${fd}`;
  if (mode & openAnonymous) return "make an anonymous channel";
  if (mode & openPrivate) return "open the private channel of a process";
  const verb = mode & openCreateNew ? "create" : "open";
  const kind = mode & openKindLimit ? "limit" : "channel";
  return `${verb} ${kind} ${JSON.stringify(target)}`;
}

/** The beginning of a URL. */
const scheme = /^([A-Za-z][A-Za-z0-9+.-]*:)\/\//;

/**
 * @throws {TypeError} when `target` is no string, or a URL
 * @throws {TandemError} `UNSUPPORTED` for a target on other machines
 */
function encodeTarget(target: string): Uint8Array {
  if (typeof target !== "string") {
    throw new TypeError(`Cannot use ${describe(target)} as a target: give a name or a path`);
  }
  const [, found] = scheme.exec(target) ?? [];
  if (found !== undefined) throw notHere(found);
  return encoder.encode(target);
}

/** The rest of the URL stays out of messages, because a password may be in it. */
function notHere(found: string): Error {
  const folder = `a path (./${found}/… for a folder of that name)`;
  if (found === "nats:") {
    return new TandemError(
      "UNSUPPORTED",
      "Cannot open a channel at a target that begins with nats://: typed calls, topics, pools, limits and nodes work across machines, " +
        `channels with their blocking forms do not; give a name, or ${folder}`,
    );
  }
  return new TypeError(
    `Cannot open a target that begins with ${found}//: give a name, ${folder}, or nats://HOST:PORT/NAME for other machines`,
  );
}

/** Leaves the channel. Calling it twice is fine. */
export function closeChannel(channel: Channel): void {
  if (!channel.isOpen) return;
  channel.isOpen = false;
  openChannels.delete(channel.address);
  forgotten.unregister(channel);
  const hadNoViews = channel.memory.detach();
  channel.native.tandem_close(channel.address, hadNoViews ? 0 : 1);
}

/**
 * Removes a channel's name.
 *
 * @returns false when there was none
 */
export function unlinkChannel(target: string): boolean {
  const bytes = encodeTarget(target);
  const control = newControl();
  const status = native().tandem_unlink(bytes, bytes.byteLength, control.words);
  if (status < 0) {
    throw openFailure(status, `unlink channel ${JSON.stringify(target)}`, control);
  }
  return status === 1;
}

/** @throws {TandemError} `CLOSED` */
export function checkOpen(channel: Channel, what: string): void {
  if (!channel.isOpen) throw closedError(what);
}

const handles: ReadonlySet<string> = new Set(["client", "server", "limit"]);

/** The error of every operation on a closed handle. */
export function closedError(what: string): TandemError {
  const found = handles.has(what) ? "it" : "the handle that it came from";
  return new TandemError("CLOSED", `Cannot use this ${what}: ${found} is closed; open another one`);
}

/** The id of a call: its generation and its slot. */
export function idOf(slot: number, low: number, high: number): bigint {
  return (BigInt(high) << 48n) | (BigInt(low) << 16n) | BigInt(slot);
}

/** The parts of an id; null: no call can have this id. */
export function partsOf(id: bigint): { slot: number; low: number; high: number } | null {
  if (typeof id !== "bigint") {
    throw new TypeError(`Cannot use ${describe(id)} as an id: give the id of a call, a bigint`);
  }
  if (id < 0n || id >= 1n << 62n) return null;
  return {
    slot: Number(id & 0xffffn),
    low: Number((id >> 16n) & 0xffffffffn),
    high: Number(id >> 48n),
  };
}
