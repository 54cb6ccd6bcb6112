/**
 * From the native side's status to an error that says what was tried, what was found and what to do.
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
  // An error number of the system that stands for nothing above: it is in the message.
  [Status.system]: "UNSUPPORTED",
};

/** The control block of a handle, or of an operation that has none yet. */
export interface ControlBlock {
  readonly words: Uint32Array;
  readonly numbers: Float64Array;
}

/** Status of an operation on an open channel: `negative` as the native side returned it. */
export function callFailure(negative: number, tried: string): TandemError {
  const status = -negative;
  const code = codes[status] ?? "CORRUPT";
  return new TandemError(code, `Cannot ${tried}: ${callReasons[status] ?? `status ${status}`}`);
}

/**
 * No slot has become free, said with who holds them as far as this handle knows.
 *
 * @param awaited of its own calls, those for whose answers a promise waits
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

/** What the message needs of a channel. */
interface BusyChannel {
  readonly native: { tandem_pending(address: number): number };
  readonly address: number;
  readonly slots: number;
  readonly isOpen: boolean;
}

const callReasons: Readonly<Record<number, string>> = {
  [Status.timeout]: "the time ran out; is a server running, and is it quick enough?",
  [Status.busy]:
    "all slots of the channel are taken; wait longer, or make the channel with more slots",
  [Status.tooLarge]: "the payload is longer than the channel allows; send fewer bytes, or make " +
    "the channel for longer payloads",
  [Status.serverDied]:
    "the server that held the request died, and no delivery is left; allow more with maxDeliveries",
  [Status.cancelled]: "the call was cancelled or cleared, or its answer was taken already; " +
    "send the request again for another one",
  [Status.notFound]: "the channel was unlinked; open it again",
  [Status.corrupt]: "the shared memory makes no sense; unlink the channel and make it anew",
  [Status.noSpace]:
    "no memory is left for the message: the file system of the channel is full; free some of it",
};

/** A failure to open or unlink `target`; `negative` as the native side returned it. */
export function openFailure(
  negative: number,
  tried: string,
  { words, numbers }: ControlBlock,
): Error {
  const status = -negative;
  const detail = words[Control.detail] ?? 0;
  const found = numbers[Control.found] ?? 0;
  const wanted = numbers[Control.wanted] ?? 0;
  const errno = words[Control.errno] ?? 0;
  const reason = reasonOf(status, detail, found, wanted, errno) + attachedText(status, words);
  if (status === Status.invalidTarget) return new TypeError(`Cannot ${tried}: ${reason}`);
  return new TandemError(codes[status] ?? "CORRUPT", `Cannot ${tried}: ${reason}`);
}

/** Of a channel with other options: who keeps it from being made anew. */
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
    return `the channel there has ${name} ${found}, asked for was ${wanted}; ` +
      `leave the option out to take it as it is, or unlink the channel and make it anew`;
  }
  switch (detail) {
    case Detail.kind:
      return `it is a channel for ${kindName(found)}, and this is a handle for ` +
        `${kindName(wanted)}; use ${handlesFor(found)} for it, or give another name`;
    case Detail.layoutVersion:
      return `it has layout version ${found}, this version of the package needs ${wanted}; ` +
        "let both sides run the same version, or unlink the channel and make it anew";
    case Detail.environment:
      return `the environment of this process cannot be read (${
        errnoName(errno)
      }), so TANDEM_DIR is ` +
        "not known: has the process changed its user? Give the channel as a path";
    case Detail.bellsOwner:
      return `the folder of doorbells beside it (….bells) belongs to user ${found} and not to the ` +
        `channel's owner, ${wanted}; find out who made it, and remove it`;
    case Detail.bellsMode:
      return `others than the channel's users can write to the folder of doorbells beside it ` +
        `(….bells has mode ${found.toString(8)} and should have ${wanted.toString(8)}); ` +
        "find out why, and chmod or remove it";
    case Detail.bellsKind:
      return "what should be the folder of doorbells beside it (….bells) is none; remove it";
    case Detail.noBells:
      return "this process has no folder of its own beside the channel, which streams and long " +
        "messages need; open the channel by its path, as a user who may write beside it";
    case Detail.lockedOut:
      return `the operating system refused a lock on its file (${
        errnoName(errno)
      }): a process that ` +
        "may only read the file can hold locks that keep others out (see /proc/locks); end it, and " +
        "give the file a mode without read access for those who do not take part";
    case Detail.copyOnWrite:
      return "its file system writes changed blocks to new places, so that memory could run out in " +
        `the middle of a call (${fileSystemName(found)}); use another one, such as /dev/shm`;
    case Detail.directoryOwner:
      return `the directory belongs to user ${found} and not to ${wanted}; ` +
        `set TANDEM_DIR to a directory of your own. ${sharedAmongUsers}`;
    case Detail.directoryMode:
      return `others can write to the directory (mode ${found.toString(8)}); ` +
        `chmod it to 700, or set TANDEM_DIR to another one. ${sharedAmongUsers}`;
    case Detail.notADirectory:
      return "what should be the directory for channels is none; remove it, or set TANDEM_DIR to " +
        "another one";
    case Detail.makeDirectory:
      return `the directory for channels cannot be made (${errnoName(errno)}); ` +
        "set TANDEM_DIR to another one";
    case Detail.fileOwner:
      return `an interrupted create of user ${found} is there, and this is user ${wanted}; ` +
        "remove the file, or give another name";
    case Detail.fileEmpty:
      return "the file is empty, left by an interrupted create; open it with a Server, or with " +
        "the option create, to make it anew";
    case Detail.fileShort:
      return shortReason(found, wanted);
    case Detail.notAFile:
      return "it is no regular file; give the name, path or descriptor of a channel";
    case Detail.notAChannel:
      return "it is no channel; give another one, or remove the file yourself";
    case Detail.badGeometry:
      return "its header makes no sense; remove the file and make the channel anew";
    case Detail.geometryTooLarge:
      return "the sizes together are too large; take fewer slots or shorter payloads";
    case Detail.nameInvalid:
      return "a name begins with a letter or digit and has up to 64 letters, digits, dots, " +
        "underscores and hyphens; a path has a slash in it, and neither has a NUL";
    case Detail.pathTooLong:
      return "the path is too long; give a shorter one";
    case Detail.handles:
      return `${found} handles are open on the channel, which is as many as there can be; ` +
        "close one first";
    case Detail.mapMemory:
      return "its memory cannot be mapped: the address space of the process is used up or limited";
    case Detail.allocate:
      return allocateReason(errno);
    case Detail.lock:
      return "another process is making it and does not come to an end; end that one first";
    case Detail.kernel:
      return `the kernel is Linux ${kernelName(found)}, and ${kernelName(wanted)} is the oldest ` +
        "that it runs on; use a newer kernel";
    case Detail.memfd:
      return `the kernel refuses memory files (${errnoName(errno)}); use a channel with a name`;
  }
  return fileReason(status, errno);
}

/** Names are looked up where one user alone can put files. */
const sharedAmongUsers =
  "A name is for one user; to share a channel between users, give a path in a " +
  'folder that they all can enter, such as "/srv/app/thumbs.tandem", and the option mode, such as ' +
  "0o660, to the one that makes it";

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

function kindName(kind: number): string {
  return kind === 1 ? "integers" : "bytes";
}

function handlesFor(kind: number): string {
  return kind === 1 ? "IntServer and IntClient" : "Server and Client";
}

function shortReason(found: number, wanted: number): string {
  const sizes = `the file has ${found} bytes and should have ${wanted}`;
  // Too short for a header, it may be anything.
  if (wanted < 4096) {
    return `${sizes} at least: it is no channel or was truncated; ` +
      "give another one, or remove the file yourself";
  }
  const happened = found < wanted ? "it was truncated" : "something was added to it";
  return `${sizes}: ${happened}; remove it and make the channel anew`;
}

function allocateReason(errno: number): string {
  const name = errnoName(errno);
  switch (errno) {
    case 27:
      return `its file would be larger than the file system or \`ulimit -f\` allows (${name}); ` +
        "take fewer slots or shorter payloads";
    case 95:
      return `its file system cannot set memory aside (${name}); ` +
        "use one that can, such as /dev/shm";
  }
  return `no space for it: the file system is full (${name}); ` +
    "free some of it, or make the channel elsewhere";
}

function fileReason(status: number, errno: number): string {
  const name = errnoName(errno);
  switch (status) {
    case Status.notFound:
      if (errno === 20) return `a part of its path is no directory (${name}); give another path`;
      return "there is no channel, or no directory for it; start its server first, use " +
        "Client.connect() to wait for one, or give the option create";
    case Status.exists:
      return "there is one already, or some other file; use open() to attach to a channel, or " +
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
      return `others make and remove it all the time (${name}); try again`;
    default:
      return `the operating system refused it (${name})`;
  }
}

function corruptReason(errno: number): string {
  switch (errno) {
    case 2:
      return "no file is open there; give the descriptor of a channel, such as server.fd";
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
  return `the file system is full (${name}); free some of it, or give a path elsewhere`;
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
