/**
 * Who contends for the places of a limit.
 *
 * @module
 */
import type { Channel } from "../channel/channel.ts";
import { Control, LimitField, participantsMax, Runtime } from "../ffi/layout.ts";
import { titleOf } from "../ffi/title.ts";
import { limitFailure } from "./failure.ts";
import type { LockInfo } from "./types.ts";

const fields = Object.keys(LimitField).length;
const nothing = new Float64Array(0);
const runtimes: readonly string[] = Object.keys(Runtime);

/** One that holds a place or waits for one, as the limit's memory tells. */
export type Contending = Omit<LockInfo, "title">;

/** All that hold a place or wait for one, in the order in which they are served. */
export function contendersOf(channel: Channel): LockInfo[] {
  const titles = new Map<number, string>();
  return contendingOn(channel).map((contending) => {
    const { pid } = contending;
    if (!titles.has(pid)) titles.set(pid, titleOf(pid));
    return { ...contending, title: titles.get(pid)! };
  });
}

/** As {@linkcode contendersOf}, without their titles, which take system calls. */
export function contendingOn(channel: Channel): Contending[] {
  return rowsOf(channel).map((row) => {
    const high = BigInt(row[LimitField.tokenHigh]!);
    return {
      id: row[LimitField.isWaiting] ? 0 : row[LimitField.place]!,
      token: row[LimitField.isWaiting] ? 0n : high << 32n | BigInt(row[LimitField.tokenLow]!),
      pid: row[LimitField.pid]!,
      runtime: (runtimes[row[LimitField.runtime]!] ?? "unknown") as LockInfo["runtime"],
      since: row[LimitField.since]!,
      mode: row[LimitField.shared] ? "shared" : "exclusive",
      ticket: row[LimitField.ticket]!,
    };
  });
}

/** The terms of a limit, now. */
export function termsOf(channel: Channel): { readonly max: number; readonly order: number } {
  const { native, address, words } = channel;
  const count = native.tandem_limit_list(address, nothing, 0, words);
  if (count < 0) throw limitFailure(count, "read the terms of a limit", channel);
  return { max: words[Control.listMax]!, order: words[Control.listOrder]! };
}

/** The contender that has stolen a limit's places, for messages. */
export function thiefOf(channel: Channel): string {
  const thief = rowsOf(channel).find((row) => row[LimitField.urgent]);
  return thief ? `process ${thief[LimitField.pid]}` : "another contender";
}

function rowsOf(channel: Channel): Float64Array[] {
  const { native, address, words } = channel;
  const out = new Float64Array(participantsMax * fields);
  const count = native.tandem_limit_list(address, out, out.length, words);
  if (count < 0) throw limitFailure(count, "list the contenders of a limit", channel);
  const length = Math.min(count, participantsMax);
  const starts = Array.from({ length }, (_, index) => index * fields);
  return starts.map((start) => out.subarray(start, start + fields));
}
