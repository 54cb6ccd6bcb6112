/**
 * Turns the native side's status into an error that says what was tried, what was found and what to do.
 *
 * @module
 */
import { type ErrorCode, TandemError } from "../errors.ts";
import { attachedMax, Control, Detail, Status } from "../ffi/layout.ts";

const codes: Readonly<Record<number, ErrorCode>> = {
  [Status.timeout]: "TIMEOUT",
  [Status.busy]: "BUSY",
  [Status.tooLarge]: "TOO_LARGE",
  [Status.serverDied]: "SERVER_DIED",
  [Status.cancelled]: "CANCELLED",
  [Status.notFound]: "NOT_FOUND",
  [Status.exists]: "EXISTS",
  [Status.mismatch]: "MISMATCH",
  [Status.incompatible]: "INCOMPATIBLE",
  [Status.corrupt]: "CORRUPT",
  [Status.permission]: "PERMISSION",
  [Status.noSpace]: "NO_SPACE",
  [Status.unsupported]: "UNSUPPORTED",
  [Status.remote]: "REMOTE",
  // Any other error number of the system: the message names it.
  [Status.system]: "UNSUPPORTED",
};

/** The control block of a handle, or of an operation that has none yet. */
export interface ControlBlock {
  readonly words: Uint32Array;
  readonly numbers: Float64Array;
}

/** An operation on an open channel has failed; `negative` as the native side returned it. */
export function callFailure(negative: number, tried: string): TandemError {
  const status = -negative;
  const code = codes[status] ?? "CORRUPT";
  return new TandemError(code, `Cannot ${tried}: ${callReasons[status] ?? `status ${status}`}`);
}

export function requestTooLarge(length: number, maxRequestBytes: number): TandemError {
  return new TandemError(
    "TOO_LARGE",
    `Cannot send a request of ${length} bytes: the channel takes ${maxRequestBytes}; ` +
      "make it with a larger maxRequestBytes",
  );
}

/**
 * No slot has become free. The message says how many this handle holds for calls that no code waits for.
 *
 * @param awaited this handle's calls whose answers a promise waits for
 */
export function busyFailure(
  tried: string,
  { native, address, slots, isOpen }: BusyChannel,
  awaited: number,
): TandemError {
  const failure = callFailure(-Status.busy, tried);
  const untaken = isOpen ? native.tandem_pending(address) - awaited : 0;
  if (untaken < 1) return failure;
  const calls = untaken === 1 ? "is held by a call" : "are held by calls";
  return new TandemError(
    "BUSY",
    `${failure.message}; ${untaken} of the ${slots} slots ${calls} of this handle that no code ` +
      "waits for: take their answers with get(), or release() them",
  );
}

interface BusyChannel {
  readonly native: { tandem_pending(address: number): number };
  readonly address: number;
  readonly slots: number;
  readonly isOpen: boolean;
}

const callReasons: Readonly<Record<number, string>> = {
  [Status.timeout]: "the time ran out; is a server running, and is it quick enough?",
  [Status.busy]:
    "all slots of the channel are in use; wait longer, or make the channel with more slots",
  [Status.tooLarge]: "the payload is longer than the channel allows; send fewer bytes, or make " +
    "the channel with larger sizes",
  [Status.serverDied]:
    "the server that held the request died, and no delivery is left; allow more with maxDeliveries",
  [Status.cancelled]: "the call was cancelled or cleared, or its answer was taken already; " +
    "send the request again for another one",
  [Status.notFound]: "the channel was unlinked; open it again",
  [Status.corrupt]: "the shared memory is damaged; unlink the channel and make it again",
  [Status.noSpace]:
    "the channel's file system is full, so there is no memory for the message; free some space",
};

/**
 * A failure to open or unlink a target; `negative` as the native side returned it, `noun` as the user knows the target.
 */
export function openFailure(
  negative: number,
  tried: string,
  { words, numbers }: ControlBlock,
  noun: "channel" | "limit" = "channel",
): Error {
  const status = -negative;
  const detail = words[Control.detail] ?? 0;
  const found = numbers[Control.found] ?? 0;
  const wanted = numbers[Control.wanted] ?? 0;
  const errno = words[Control.errno] ?? 0;
  const cause = reasonOf(status, detail, found, wanted, errno);
  const isLimits = noun === "limit" && detail !== Detail.kind;
  const reason = (isLimits ? limitReason(cause, status, errno) : cause) +
    attachedText(status, words);
  if (status === Status.invalidTarget) return new TypeError(`Cannot ${tried}: ${reason}`);
  return new TandemError(codes[status] ?? "CORRUPT", `Cannot ${tried}: ${reason}`);
}

/** What is true of channels in other words: the files of limits are made and checked as theirs. */
function limitReason(cause: string, status: number, errno: number): string {
  // Opening makes a limit.
  const isFolderMissing = status === Status.notFound && errno === 2;
  if (isFolderMissing) return "there is no directory for it; make that, or give another path";
  return cause.replaceAll("channel", "limit");
}

/** The participants that keep a channel with other options from being made again. */
function attachedText(status: number, words: Uint32Array): string {
  const count = words[Control.attached] ?? 0;
  if (status !== Status.mismatch || count === 0) return "";
  const servers = words[Control.attachedServers]!;
  const listed = Array.from({ length: Math.min(count, attachedMax) }, (_, index) => {
    const role = servers >>> index & 1 ? "server" : "client";
    return `process ${words[Control.attachedPids + index]} (${role})`;
  });
  const more = count > listed.length ? ` and ${count - listed.length} more` : "";
  return `; attached to it: ${listed.join(", ")}${more}`;
}

function reasonOf(
  status: number,
  detail: number,
  found: number,
  wanted: number,
  errno: number,
): string {
  const values = { [Detail.slots]: "slots", ...sizeNames } as Record<number, string>;
  const name = values[detail];
  if (name !== undefined) {
    return `the existing channel has ${name} ${found}, but the option asks for ${wanted}; ` +
      `leave the option out, or unlink the channel and make it again`;
  }
  switch (detail) {
    case Detail.kind:
      return `it is ${kindName(found)}, and this is a handle of ` +
        `${kindName(wanted)}; use ${handleNames(found)} for it, or give another name`;
    case Detail.layoutVersion:
      return `it has layout version ${found}, but this version of the package needs ${wanted}; ` +
        "run the same version on both sides, or unlink the channel and make it again";
    case Detail.environment:
      return `the environment of this process cannot be read (${
        errnoName(errno)
      }), so TANDEM_DIR is ` +
        "not known, perhaps because the process has changed its user; give the channel as a path";
    case Detail.bellsOwner:
      return `the folder of bells beside it (….bells) belongs to user ${found} and not to the ` +
        `channel's owner, ${wanted}; find out which program made it, and remove it`;
    case Detail.bellsMode:
      return `users that may not use the channel can write to the folder of bells beside it ` +
        `(….bells has mode ${found.toString(8)} and should have ${wanted.toString(8)}); ` +
        "find out why, then chmod or remove it";
    case Detail.bellsKind:
      return "the file beside it that should be the folder of bells (….bells) is no folder; remove it";
    case Detail.noBells:
      return "this process has no folder of its own beside the channel, which streams, long messages " +
        "and boards need; open the channel by its path, as a user that may write beside it";
    case Detail.lockedOut:
      return `the operating system refused a lock on its file (${
        errnoName(errno)
      }): a process that ` +
        "can read the file may hold locks that keep others out (see /proc/locks); end it, and " +
        "give the file a mode that lets only the channel's users read it";
    case Detail.copyOnWrite:
      return "its file system writes changed blocks to new places, so space could run out in the " +
        `middle of a call (${fileSystemName(found)}); use another one, such as /dev/shm`;
    case Detail.directoryOwner:
      return `the directory belongs to user ${found} and not to ${wanted}; ` +
        `set TANDEM_DIR to a directory of your own. ${sharedAmongUsers}`;
    case Detail.directoryMode:
      return `other users can write to the directory (mode ${found.toString(8)}); ` +
        `chmod it to 700, or set TANDEM_DIR to another one. ${sharedAmongUsers}`;
    case Detail.notADirectory:
      return "the directory for channels is no directory; remove the file there, or set TANDEM_DIR " +
        "to another directory";
    case Detail.makeDirectory:
      return `the directory for channels cannot be made (${errnoName(errno)}); ` +
        "set TANDEM_DIR to another one";
    case Detail.fileOwner:
      return `an interrupted create of user ${found} has left a file, and this is user ${wanted}; ` +
        "remove the file, or give another name";
    case Detail.fileEmpty:
      return "an interrupted create has left the file empty; open it with a Server, or with the " +
        "option create, to make the channel";
    case Detail.fileShort:
      return shortReason(found, wanted);
    case Detail.notAFile:
      return "it is no regular file; give the name, path or descriptor of a channel";
    case Detail.notAChannel:
      return "it is no channel; give another one, or remove the file yourself";
    case Detail.badGeometry:
      return "its header is damaged; remove the file and make the channel again";
    case Detail.geometryTooLarge:
      return "the sizes together are too large; use fewer slots or shorter payloads";
    case Detail.nameInvalid:
      return "a name begins with a letter or digit and has up to 64 letters, digits, dots, " +
        "underscores and hyphens; a path has a slash in it, and neither has a NUL";
    case Detail.pathTooLong:
      return "the path is too long; give a shorter one";
    case Detail.handles:
      return `${found} handles are open on the channel, which is the maximum; close one first`;
    case Detail.mapMemory:
      return "its memory cannot be mapped: the address space of the process is used up or limited";
    case Detail.allocate:
      return allocateReason(errno);
    case Detail.lock:
      return "another process has been making or removing it for too long and does not finish; end that process";
    case Detail.kernel:
      return `the kernel is Linux ${kernelName(found)}, and ${kernelName(wanted)} is the oldest ` +
        "supported one; use a newer kernel";
    case Detail.memfd:
      return `the kernel refuses memory files (${errnoName(errno)}); use a channel with a name`;
  }
  return fileReason(status, errno);
}

/** Names are looked up in a folder where only one user can put files. */
const sharedAmongUsers =
  "A name is for one user; to share a channel between users, give a path in a " +
  'folder that they all can enter, such as "/srv/app/thumbs.tandem", and make the channel with the ' +
  "option mode, such as 0o660";

/** By the magic numbers of statfs(2). */
const fileSystemNames: Readonly<Record<number, string>> = {
  0x9123683e: "btrfs, where the file was made with copy-on-write",
  0x58465342: "XFS, where a copy shares its blocks",
  0x2fc12fc1: "ZFS",
  0xca451a4e: "bcachefs",
  0x3434: "NILFS",
};

function fileSystemName(magic: number): string {
  return fileSystemNames[magic] ?? `type ${magic.toString(16)}`;
}

function kernelName(version: number): string {
  return `${Math.floor(version / 1000)}.${version % 1000}`;
}

const sizeNames = {
  [Detail.maxRequestBytes]: "maxRequestBytes",
  [Detail.maxResponseBytes]: "maxResponseBytes",
  [Detail.maxDeliveries]: "maxDeliveries",
};

const kindNames: readonly string[] = ["a channel for bytes", "a channel for integers", "a limit"];
const handlesOfKinds: readonly string[] = ["Server and Client", "IntServer and IntClient", "Limit"];

function kindName(kind: number): string {
  return kindNames[kind] ?? "something else";
}

function handleNames(kind: number): string {
  return handlesOfKinds[kind] ?? "a newer version";
}

function shortReason(found: number, wanted: number): string {
  const sizes = `the file has ${found} bytes and should have ${wanted}`;
  // A file too short for a header may be anything.
  if (wanted < 4096) {
    return `${sizes} at least: it is no channel or was truncated; ` +
      "give another one, or remove the file yourself";
  }
  const cause = found < wanted ? "it was truncated" : "bytes were added to it";
  return `${sizes}: ${cause}; remove it and make the channel again`;
}

function allocateReason(errno: number): string {
  const name = errnoName(errno);
  switch (errno) {
    case 27:
      return `its file would be larger than the file system or \`ulimit -f\` allows (${name}); ` +
        "use fewer slots or shorter payloads";
    case 95:
      return `its file system cannot reserve space (${name}); ` +
        "use one that can, such as /dev/shm";
  }
  return `its file system is full (${name}); ` +
    "free some space, or make the channel elsewhere";
}

function fileReason(status: number, errno: number): string {
  const name = errnoName(errno);
  switch (status) {
    case Status.notFound:
      if (errno === 20) return `a part of its path is no directory (${name}); give another path`;
      return "there is no channel, or no directory for it; start its server first, wait for it " +
        "with Client.connect(), or give the option create";
    case Status.exists:
      return "a channel or another file exists already; use open() to attach to a channel, or " +
        "give another name";
    case Status.permission:
      if (errno === 30) return `the file system is read-only (${name}); give another path`;
      return `the operating system refused access (${name}); ` +
        "check owner and mode of the file and of its directory";
    case Status.corrupt:
      return corruptReason(errno);
    case Status.noSpace:
      return noSpaceReason(errno);
    case Status.invalidTarget:
      return `a part of the path is too long (${name}); give a shorter one`;
    case Status.busy:
      return `other processes keep making and removing it (${name}); try again`;
    default:
      return `the operating system refused it (${name})`;
  }
}

function corruptReason(errno: number): string {
  switch (errno) {
    case 2:
      return "the descriptor is not open; give the descriptor of a channel, such as server.fd";
    case 21:
      return "it is a directory; give the name, path or descriptor of a channel";
    case 40:
      return "it is a symbolic link, which is not followed; give the path of the channel itself";
  }
  return `it is no channel (${errnoName(errno)}); give another one`;
}

function noSpaceReason(errno: number): string {
  const name = errnoName(errno);
  switch (errno) {
    case 12:
      return `no memory is left (${name}); free some`;
    case 23:
    case 24:
      return `too many files are open (${name}); close some, or raise the limit (ulimit -n)`;
  }
  return `the file system is full (${name}); free some space, or give a path elsewhere`;
}

const errnoNames: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  6: "ENXIO",
  9: "EBADF",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  16: "EBUSY",
  17: "EEXIST",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  27: "EFBIG",
  28: "ENOSPC",
  30: "EROFS",
  36: "ENAMETOOLONG",
  37: "ENOLCK",
  38: "ENOSYS",
  40: "ELOOP",
  95: "EOPNOTSUPP",
  122: "EDQUOT",
};

function errnoName(errno: number): string {
  return errnoNames[errno] ?? `errno ${errno}`;
}
