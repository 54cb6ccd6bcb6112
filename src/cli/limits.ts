/**
 * Limits as an observer sees them.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { TandemError } from "@tandem/ipc";
import { Limit, type LimitOrder, type LockInfo } from "@tandem/ipc/limit";
import { channelFolder, namesIn } from "./folder.ts";

/** What is known of a limit. */
export interface ObservedLimit {
  readonly target: string;
  readonly path: string;
  readonly kind: "limit";
  readonly max: number;
  readonly order: LimitOrder;
  readonly holders: readonly LockInfo[];
  readonly waiters: readonly LockInfo[];
}

/** A limit of the folder: what is known of it, or why it cannot be opened. */
export type ListedLimit =
  | { readonly target: string; readonly limit: ObservedLimit }
  | { readonly target: string; readonly error: Error };

const extension = ".limit";

/** The file of a limit; null: there is none. A path that does not end like one may be that of a channel. */
export function limitPath(target: string): string | null {
  const isPath = target.includes("/");
  if (isPath && !target.endsWith(extension)) return null;
  const path = isPath ? target : `${channelFolder()}/${target}${extension}`;
  return existsSync(path) ? path : null;
}

/**
 * Looks at a limit. The observer neither holds a place nor waits for one.
 *
 * @throws {TandemError} what opening the limit throws
 */
export function observeLimit(target: string, path: string): ObservedLimit {
  using limit = new Limit(path);
  return {
    target,
    path,
    kind: "limit",
    max: limit.max,
    order: limit.order,
    holders: limit.holders(),
    waiters: limit.waiters(),
  };
}

/** All limits with names, in the order of their names. */
export function listLimits(): ListedLimit[] {
  const folder = channelFolder();
  return namesIn(folder, extension).flatMap((target): ListedLimit[] => {
    const path = `${folder}/${target}${extension}`;
    try {
      // It may have gone, and opening it would make it.
      return existsSync(path) ? [{ target, limit: observeLimit(target, path) }] : [];
    } catch (error) {
      if (error instanceof TandemError) return [{ target, error }];
      throw error;
    }
  });
}
