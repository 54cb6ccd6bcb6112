/**
 * Which locks are held, and who waits for them, in all processes.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import { type Channel, closeChannel, openChannel } from "../channel/channel.ts";
import { openFailure } from "../channel/failure.ts";
import type { ErrorCode } from "../errors.ts";
import { controlBytes, openKindLimit } from "../ffi/layout.ts";
import { native } from "../ffi/load.ts";
import { type Contending, contendingOn } from "./listing.ts";
import { nameOf } from "./lock_names.ts";
import type { NamedLockInfo, NamedLockSnapshot } from "./lock_types.ts";

/** The file is gone meanwhile, or it is no limit that this version can use. */
const unreadable: ReadonlySet<ErrorCode | undefined> = new Set([
  "NOT_FOUND",
  "CORRUPT",
  "MISMATCH",
  "INCOMPATIBLE",
]);

/** Looks at one limit after the other: the snapshot of each is of one moment. */
export async function queryLocks(): Promise<NamedLockSnapshot> {
  // As in the specification, the answer takes a turn.
  await undefined;
  const held: NamedLockInfo[] = [];
  const pending: NamedLockInfo[] = [];
  const targets = contendedLimits().map((target) => ({ target, name: nameOf(target) }));
  targets.sort((one, other) => one.name < other.name ? -1 : 1);
  for (const { target, name } of targets) {
    for (const contending of lookAt(target)) {
      (contending.id > 0 ? held : pending).push(infoOf(name, contending));
    }
  }
  return { held, pending };
}

function infoOf(name: string, { mode, pid, runtime, since }: Contending): NamedLockInfo {
  return { name, mode, clientId: `${runtime}-${pid}`, pid, since };
}

/** Those that contend for a limit. Makes no file. */
function lookAt(target: string): Contending[] {
  let channel: Channel;
  try {
    channel = openChannel("client", target, openKindLimit);
  } catch (error) {
    if (unreadable.has(codeOf(error))) return [];
    throw error;
  }
  try {
    return contendingOn(channel);
  } finally {
    closeChannel(channel);
  }
}

/** The limits in this user's folder that somebody contends for. */
function contendedLimits(): string[] {
  const buffer = new ArrayBuffer(controlBytes);
  const words = new Uint32Array(buffer);
  for (let length = 4096;; length *= 4) {
    const out = new Uint8Array(length);
    const needed = native().tandem_limit_names(out, length, words);
    if (needed < 0) {
      throw openFailure(needed, "list the limits", { words, numbers: new Float64Array(buffer) });
    }
    if (needed > length) continue;
    return new TextDecoder().decode(out.subarray(0, needed)).split("\0").slice(0, -1);
  }
}
