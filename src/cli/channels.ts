/**
 * Channels as an observer sees them.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { Client, IntClient, type Participant, type Stats, TandemError } from "@tandem/ipc";
import { channelFolder, namesIn } from "./folder.ts";

/** What is known of a channel. */
export interface Observed {
  readonly target: string;
  readonly path: string;
  /** What a call carries. */
  readonly kind: "bytes" | "integers";
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  readonly maxDeliveries: number;
  /** Without the observer. */
  readonly stats: Stats;
  /** Without the observer. */
  readonly participants: readonly Participant[];
}

/**
 * Looks at a channel. For that moment the observer is a client of it.
 *
 * @throws {TandemError} what opening the channel throws
 */
export function observe(target: string): Observed {
  const { client, kind } = openEither(target);
  try {
    const participants = client.participants();
    // No other client of this process is open.
    const own = participants.findIndex(({ role, pid, uid }) =>
      role === "client" && pid === process.pid && uid === process.geteuid!()
    );
    const stats = client.stats();
    return {
      target,
      path: client.path ?? target,
      kind,
      maxRequestBytes: client.maxRequestBytes,
      maxResponseBytes: client.maxResponseBytes,
      maxDeliveries: client.maxDeliveries,
      stats: { ...stats, clients: stats.clients - 1 },
      participants: participants.filter((_, index) => index !== own),
    };
  } finally {
    client.close();
  }
}

function openEither(target: string) {
  try {
    return { client: Client.open(target), kind: "bytes" } as const;
  } catch (error) {
    if (!(error instanceof TandemError) || error.code !== "MISMATCH") throw error;
    return { client: IntClient.open(target), kind: "integers" } as const;
  }
}

const extension = ".tandem";

/** Whether there is a file with the name of that channel. */
export function hasChannel(target: string): boolean {
  return existsSync(target.includes("/") ? target : `${channelFolder()}/${target}${extension}`);
}

/** A channel of the folder: what is known of it, or why it cannot be opened. */
export type Listed =
  | { readonly target: string; readonly observed: Observed }
  | { readonly target: string; readonly error: Error };

/** All channels with names, in the order of their names. */
export function listChannels(): Listed[] {
  return namesIn(channelFolder(), extension).flatMap((target): Listed[] => {
    try {
      return [{ target, observed: observe(target) }];
    } catch (error) {
      // It may have gone between the two looks.
      if (error instanceof TandemError && error.code === "NOT_FOUND") return [];
      return [{ target, error: error as Error }];
    }
  });
}
